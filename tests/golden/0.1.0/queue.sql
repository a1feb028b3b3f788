PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE attempts (
    spec       TEXT NOT NULL,
    number     INTEGER NOT NULL,
    config     TEXT NOT NULL,
    generation INTEGER NOT NULL,
    position   TEXT NOT NULL,
    intent     TEXT,
    claimed_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER,
    PRIMARY KEY (spec, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "attempts" VALUES('S1400',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"step":{"at":"close","ending":{"kind":"canceled"}},"commands":1,"awaiting":false,"boot":"@BOOT@","marker":"@MARKER_1@","origin":"@COMMIT_2@","head":"@COMMIT_2@","first_try":1,"failure":null,"verified":null,"cut_off":0,"deaths":0}',NULL,@T0@+108,@T0@+111,@T0@+575);
INSERT INTO "attempts" VALUES('S4D06',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"step":{"at":"close","ending":{"kind":"completed","delivery":null,"reason":null}},"commands":1,"awaiting":false,"boot":"@BOOT@","marker":"@MARKER_2@","origin":null,"head":null,"first_try":1,"failure":null,"verified":null,"cut_off":0,"deaths":0}',NULL,@T0@+314,@T0@+315,@T0@+352);
INSERT INTO "attempts" VALUES('S4DCA',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"step":{"at":"close","ending":{"kind":"completed","delivery":"unmerged","reason":"main is checked out in \"@REPO@\", where tracked files have changes; commit or stash them"}},"commands":1,"awaiting":false,"boot":"@BOOT@","marker":"@MARKER_3@","origin":"@COMMIT_2@","head":"@COMMIT_8@","first_try":1,"failure":null,"verified":"@COMMIT_8@","cut_off":0,"deaths":0}',NULL,@T0@+108,@T0@+113,@T0@+346);
INSERT INTO "attempts" VALUES('S4E9D',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"step":{"at":"check","task":0,"try_number":1,"candidate":"@COMMIT_18@","index":1},"commands":3,"awaiting":true,"boot":"@BOOT@","marker":"@MARKER_4@","origin":"@COMMIT_2@","head":"@COMMIT_2@","first_try":1,"failure":null,"verified":null,"cut_off":0,"deaths":0}',NULL,@T0@+1163,@T0@+1165,NULL);
INSERT INTO "attempts" VALUES('S6940',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"step":{"at":"close","ending":{"kind":"failed","task":0,"reason":"verify command failed (`echo nothing is there; test -e nothing`): exit code 1, on try 2 of 2"}},"commands":4,"awaiting":false,"boot":"@BOOT@","marker":"@MARKER_5@","origin":"@COMMIT_2@","head":"@COMMIT_2@","first_try":1,"failure":{"what":"verify command failed","command":"echo nothing is there; test -e nothing","how":"exit code 1","output":"nothing is there\n"},"verified":null,"cut_off":0,"deaths":0}',NULL,@T0@+108,@T0@+110,@T0@+310);
INSERT INTO "attempts" VALUES('S860E',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"step":{"at":"final_check","index":0},"commands":2,"awaiting":true,"boot":"@BOOT@","marker":"@MARKER_6@","origin":"@COMMIT_2@","head":"@COMMIT_16@","first_try":1,"failure":null,"verified":null,"cut_off":0,"deaths":0}',NULL,@T0@+1163,@T0@+1168,NULL);
INSERT INTO "attempts" VALUES('SC8F8',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"step":{"at":"act","task":0,"try_number":1},"commands":1,"awaiting":true,"boot":"@BOOT@","marker":"@MARKER_7@","origin":"@COMMIT_2@","head":"@COMMIT_2@","first_try":1,"failure":null,"verified":null,"cut_off":0,"deaths":0}',NULL,@T0@+1163,@T0@+1165,NULL);
INSERT INTO "attempts" VALUES('SD11A',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"step":{"at":"prepare","laying":"as_it_is","then":{"at":"act","task":1,"try_number":1}},"commands":2,"awaiting":false,"boot":"@BOOT@","marker":"@MARKER_8@","origin":"@COMMIT_2@","head":"@COMMIT_13@","first_try":1,"failure":null,"verified":null,"cut_off":0,"deaths":0}',NULL,@T0@+830,@T0@+831,NULL);
INSERT INTO "attempts" VALUES('SE0BF',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"step":{"at":"act","task":0,"try_number":1},"commands":1,"awaiting":true,"boot":"@BOOT@","marker":"@MARKER_9@","origin":"@COMMIT_2@","head":"@COMMIT_2@","first_try":1,"failure":null,"verified":null,"cut_off":0,"deaths":0}',NULL,@T0@+1163,@T0@+1166,NULL);
INSERT INTO "attempts" VALUES('SF5B5',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"step":{"at":"close","ending":{"kind":"completed","delivery":"branch","reason":null}},"commands":4,"awaiting":false,"boot":"@BOOT@","marker":"@MARKER_10@","origin":"@COMMIT_2@","head":"@COMMIT_6@","first_try":1,"failure":null,"verified":"@COMMIT_6@","cut_off":0,"deaths":0}',NULL,@T0@+108,@T0@+110,@T0@+516);
INSERT INTO "attempts" VALUES('SF6C6',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"step":{"at":"prepare","laying":"as_it_is","then":{"at":"act","task":0,"try_number":1}},"commands":1,"awaiting":false,"boot":"@BOOT@","marker":"@MARKER_11@","origin":"@COMMIT_2@","head":"@COMMIT_2@","first_try":1,"failure":null,"verified":null,"cut_off":0,"deaths":0}',NULL,@T0@+668,@T0@+669,NULL);
CREATE TABLE commands (
    spec     TEXT NOT NULL,
    attempt  INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    step     TEXT NOT NULL,
    PRIMARY KEY (spec, attempt, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "commands" VALUES('S1400',1,1,@T0@+161,'{"at":"act","task":0,"try_number":1}');
INSERT INTO "commands" VALUES('S4D06',1,1,@T0@+318,'{"at":"act","task":0,"try_number":1}');
INSERT INTO "commands" VALUES('S4DCA',1,1,@T0@+177,'{"at":"act","task":0,"try_number":1}');
INSERT INTO "commands" VALUES('S4E9D',1,1,@T0@+1210,'{"at":"act","task":0,"try_number":1}');
INSERT INTO "commands" VALUES('S4E9D',1,2,@T0@+1289,'{"at":"check","task":0,"try_number":1,"candidate":"@COMMIT_18@","index":0}');
INSERT INTO "commands" VALUES('S4E9D',1,3,@T0@+1317,'{"at":"check","task":0,"try_number":1,"candidate":"@COMMIT_18@","index":1}');
INSERT INTO "commands" VALUES('S6940',1,1,@T0@+156,'{"at":"act","task":0,"try_number":1}');
INSERT INTO "commands" VALUES('S6940',1,2,@T0@+227,'{"at":"check","task":0,"try_number":1,"candidate":"@COMMIT_10@","index":0}');
INSERT INTO "commands" VALUES('S6940',1,3,@T0@+243,'{"at":"act","task":0,"try_number":2}');
INSERT INTO "commands" VALUES('S6940',1,4,@T0@+292,'{"at":"check","task":0,"try_number":2,"candidate":"@COMMIT_14@","index":0}');
INSERT INTO "commands" VALUES('S860E',1,1,@T0@+1236,'{"at":"act","task":0,"try_number":1}');
INSERT INTO "commands" VALUES('S860E',1,2,@T0@+1316,'{"at":"final_check","index":0}');
INSERT INTO "commands" VALUES('SC8F8',1,1,@T0@+1231,'{"at":"act","task":0,"try_number":1}');
INSERT INTO "commands" VALUES('SD11A',1,1,@T0@+860,'{"at":"act","task":0,"try_number":1}');
INSERT INTO "commands" VALUES('SD11A',1,2,@T0@+941,'{"at":"act","task":1,"try_number":1}');
INSERT INTO "commands" VALUES('SE0BF',1,1,@T0@+1228,'{"at":"act","task":0,"try_number":1}');
INSERT INTO "commands" VALUES('SF5B5',1,1,@T0@+170,'{"at":"act","task":0,"try_number":1}');
INSERT INTO "commands" VALUES('SF5B5',1,2,@T0@+260,'{"at":"check","task":0,"try_number":1,"candidate":"@COMMIT_4@","index":0}');
INSERT INTO "commands" VALUES('SF5B5',1,3,@T0@+363,'{"at":"act","task":1,"try_number":1}');
INSERT INTO "commands" VALUES('SF5B5',1,4,@T0@+453,'{"at":"final_check","index":0}');
INSERT INTO "commands" VALUES('SF6C6',1,1,@T0@+691,'{"at":"act","task":0,"try_number":1}');
CREATE TABLE counts (
    status TEXT PRIMARY KEY,
    n      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "counts" VALUES('canceled',2);
INSERT INTO "counts" VALUES('completed',3);
INSERT INTO "counts" VALUES('failed',2);
INSERT INTO "counts" VALUES('queued',4);
INSERT INTO "counts" VALUES('running',4);
CREATE TABLE deps (
    spec  TEXT NOT NULL,
    needs TEXT NOT NULL,
    PRIMARY KEY (spec, needs)
) STRICT, WITHOUT ROWID;
INSERT INTO "deps" VALUES('S65FD','S6940');
INSERT INTO "deps" VALUES('SEA3E','SC8F8');
CREATE TABLE kept (
    spec TEXT NOT NULL,
    ref  TEXT NOT NULL,
    PRIMARY KEY (spec, ref)
) STRICT, WITHOUT ROWID;
INSERT INTO "kept" VALUES('SF5B5','refs/boi/kept/SF5B5/shell-try-1-after-verify-52ecf7bb8225');
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE specs (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    title        TEXT NOT NULL,
    body         TEXT NOT NULL,
    repo         TEXT,
    merges       INTEGER NOT NULL,
    priority     INTEGER NOT NULL,
    status       TEXT NOT NULL,
    reason       TEXT,
    open_deps    INTEGER NOT NULL,
    not_before   INTEGER,
    setbacks     INTEGER NOT NULL DEFAULT 0,
    attempt      INTEGER NOT NULL DEFAULT 0,
    resumes      INTEGER NOT NULL DEFAULT 0,
    failed_by    TEXT,
    origin       TEXT,
    head         TEXT,
    worktree     TEXT,
    has_branch   INTEGER NOT NULL DEFAULT 0,
    delivery     TEXT,
    queued_at    INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    turns        INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost_usd     REAL NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "specs" VALUES(1,'SF5B5','Completed','{"title":"Completed","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":"Be brief.","agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":["test -e shell.txt"],"tasks":[{"id":"shell","title":"echo shell > shell.txt","action":{"run":"echo shell > shell.txt"},"needs":[],"verify":["echo left > left.txt; test -s shell.txt"],"timeout_minutes":null},{"id":"agent","title":"Write. @@write agent.txt agent@@ @@say all is written@@","action":{"prompt":"Write. @@write agent.txt agent@@ @@say all is written@@"},"needs":["shell"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'completed',NULL,0,NULL,0,1,0,NULL,'@COMMIT_2@','@COMMIT_6@',NULL,1,'branch',@T0@+25,@T0@+108,@T0@+516,2,123,10,0.001);
INSERT INTO "specs" VALUES(2,'S6940','Failed','{"title":"Failed","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo bad > bad.txt","action":{"run":"echo bad > bad.txt"},"needs":[],"verify":["echo nothing is there; test -e nothing"],"timeout_minutes":null}]}','@REPO@',0,100,'failed','task t-1: verify command failed (`echo nothing is there; test -e nothing`): exit code 1, on try 2 of 2',0,NULL,0,1,0,NULL,'@COMMIT_2@','@COMMIT_2@','@HOME@/worktrees/S6940',1,NULL,@T0@+44,@T0@+108,@T0@+310,0,0,0,0.0);
INSERT INTO "specs" VALUES(3,'S65FD','Waited for the failed','{"title":"Waited for the failed","repo":null,"context":null,"agent":"claude","model":null,"priority":100,"after":["S6940"],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"true","action":{"run":"true"},"needs":[],"verify":[],"timeout_minutes":null}]}',NULL,0,100,'failed','waits for S6940, which failed',1,NULL,0,0,0,'S6940',NULL,NULL,NULL,0,NULL,@T0@+54,NULL,@T0@+310,0,0,0,0.0);
INSERT INTO "specs" VALUES(4,'S1400','Canceled','{"title":"Canceled","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"wait","action":{"run":"echo x >> @WORK@/starts-canceled; echo $$ > @WORK@/pid-canceled; while ! test -e @WORK@/go-canceled; do sleep 0.02; done"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'canceled','canceled by the user',0,NULL,0,1,0,NULL,'@COMMIT_2@','@COMMIT_2@','@HOME@/worktrees/S1400',1,NULL,@T0@+70,@T0@+108,@T0@+575,0,0,0,0.0);
INSERT INTO "specs" VALUES(5,'S4DCA','Unmerged','{"title":"Unmerged","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"merge","verify":[],"tasks":[{"id":"t-1","title":"echo two > a.txt","action":{"run":"echo two > a.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',1,100,'completed','main is checked out in "@REPO@", where tracked files have changes; commit or stash them',0,NULL,0,1,0,NULL,'@COMMIT_2@','@COMMIT_8@',NULL,1,'unmerged',@T0@+90,@T0@+108,@T0@+346,0,0,0,0.0);
INSERT INTO "specs" VALUES(6,'S4D06','Scratch','{"title":"Scratch","repo":null,"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo nothing to keep","action":{"run":"echo nothing to keep"},"needs":[],"verify":[],"timeout_minutes":null}]}',NULL,0,100,'completed',NULL,0,NULL,0,1,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+99,@T0@+314,@T0@+352,0,0,0,0.0);
INSERT INTO "specs" VALUES(7,'SF6C6','Limited','{"title":"Limited","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"Later. @@write later.txt later@@","action":{"prompt":"Later. @@write later.txt later@@"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','usage limit until @TIME@; goes on at @TIME@',0,@T0@+3625812,1,1,1,NULL,'@COMMIT_2@','@COMMIT_2@','@HOME@/worktrees/SF6C6',1,NULL,@T0@+655,@T0@+668,NULL,1,123,10,0.001);
INSERT INTO "specs" VALUES(8,'SD11A','Stopped','{"title":"Stopped","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"one","title":"echo one > one.txt","action":{"run":"echo one > one.txt"},"needs":[],"verify":[],"timeout_minutes":null},{"id":"two","title":"wait","action":{"run":"echo half > half.txt; echo x >> @WORK@/starts-stopped; echo $$ > @WORK@/pid-stopped; while ! test -e @WORK@/go-stopped; do sleep 0.02; done; echo two > two.txt"},"needs":["one"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','stopped; goes on where it was',0,NULL,0,1,1,NULL,'@COMMIT_2@','@COMMIT_13@','@HOME@/worktrees/SD11A',1,NULL,@T0@+816,@T0@+830,NULL,0,0,0,0.0);
INSERT INTO "specs" VALUES(9,'SC8F8','Running a command','{"title":"Running a command","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"first","title":"wait","action":{"run":"echo 1 > one.txt; echo x >> @WORK@/starts-command; echo $$ > @WORK@/pid-command; while ! test -e @WORK@/go-command; do sleep 0.02; done; echo 2 > two.txt"},"needs":[],"verify":["test -e two.txt"],"timeout_minutes":null},{"id":"second","title":"echo 3 > three.txt","action":{"run":"echo 3 > three.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_2@','@COMMIT_2@','@HOME@/worktrees/SC8F8',1,NULL,@T0@+1035,@T0@+1163,NULL,0,0,0,0.0);
INSERT INTO "specs" VALUES(10,'S4E9D','Running a verify command','{"title":"Running a verify command","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo v > v.txt","action":{"run":"echo v > v.txt"},"needs":[],"verify":["true","echo x >> @WORK@/starts-verify; echo $$ > @WORK@/pid-verify; while ! test -e @WORK@/go-verify; do sleep 0.02; done; test -e v.txt"],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_2@','@COMMIT_2@','@HOME@/worktrees/S4E9D',1,NULL,@T0@+1061,@T0@+1163,NULL,0,0,0,0.0);
INSERT INTO "specs" VALUES(11,'SE0BF','Running an agent','{"title":"Running an agent","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":"some-model","priority":1,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"wait","action":{"prompt":"Work. @@sh echo x >> @WORK@/starts-agent@@ @@touch @WORK@/pid-agent@@ @@wait @WORK@/go-agent@@ @@write agent.txt agent@@ @@say it is done@@"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_2@','@COMMIT_2@','@HOME@/worktrees/SE0BF',1,NULL,@T0@+1082,@T0@+1163,NULL,0,0,0,0.0);
INSERT INTO "specs" VALUES(12,'S860E','Running the last verify command','{"title":"Running the last verify command","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":["echo x >> @WORK@/starts-last; echo $$ > @WORK@/pid-last; while ! test -e @WORK@/go-last; do sleep 0.02; done; test -e l.txt"],"tasks":[{"id":"t-1","title":"echo l > l.txt","action":{"run":"echo l > l.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_2@','@COMMIT_16@','@HOME@/worktrees/S860E',1,NULL,@T0@+1100,@T0@+1163,NULL,0,0,0,0.0);
INSERT INTO "specs" VALUES(13,'SEA3E','Waits for one that runs','{"title":"Waits for one that runs","repo":{"path":"@REPO@","base":{"spec":"SC8F8"}},"context":null,"agent":"claude","model":null,"priority":100,"after":["SC8F8"],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"cat two.txt > four.txt","action":{"run":"cat two.txt > four.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued',NULL,1,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+1118,NULL,NULL,0,0,0,0.0);
INSERT INTO "specs" VALUES(14,'S3AD2','Queued','{"title":"Queued","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":200,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo q > q.txt","action":{"run":"echo q > q.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,200,'queued',NULL,0,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+1136,NULL,NULL,0,0,0,0.0);
INSERT INTO "specs" VALUES(15,'S446E','Canceled before it ran','{"title":"Canceled before it ran","repo":null,"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"true","action":{"run":"true"},"needs":[],"verify":[],"timeout_minutes":null}]}',NULL,0,100,'canceled','canceled by the user',0,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+1146,NULL,@T0@+1154,0,0,0,0.0);
CREATE TABLE tasks (
    spec     TEXT NOT NULL,
    idx      INTEGER NOT NULL,
    id       TEXT NOT NULL,
    title    TEXT NOT NULL,
    status   TEXT NOT NULL,
    tries    INTEGER NOT NULL DEFAULT 0,
    commit_id TEXT,
    PRIMARY KEY (spec, idx)
) STRICT, WITHOUT ROWID;
INSERT INTO "tasks" VALUES('S1400',0,'t-1','wait','skipped',1,NULL);
INSERT INTO "tasks" VALUES('S3AD2',0,'t-1','echo q > q.txt','pending',0,NULL);
INSERT INTO "tasks" VALUES('S446E',0,'t-1','true','skipped',0,NULL);
INSERT INTO "tasks" VALUES('S4D06',0,'t-1','echo nothing to keep','done',1,NULL);
INSERT INTO "tasks" VALUES('S4DCA',0,'t-1','echo two > a.txt','done',1,'@COMMIT_8@');
INSERT INTO "tasks" VALUES('S4E9D',0,'t-1','echo v > v.txt','running',1,NULL);
INSERT INTO "tasks" VALUES('S65FD',0,'t-1','true','skipped',0,NULL);
INSERT INTO "tasks" VALUES('S6940',0,'t-1','echo bad > bad.txt','failed',2,NULL);
INSERT INTO "tasks" VALUES('S860E',0,'t-1','echo l > l.txt','done',1,'@COMMIT_16@');
INSERT INTO "tasks" VALUES('SC8F8',0,'first','wait','running',1,NULL);
INSERT INTO "tasks" VALUES('SC8F8',1,'second','echo 3 > three.txt','pending',0,NULL);
INSERT INTO "tasks" VALUES('SD11A',0,'one','echo one > one.txt','done',1,'@COMMIT_13@');
INSERT INTO "tasks" VALUES('SD11A',1,'two','wait','running',1,NULL);
INSERT INTO "tasks" VALUES('SE0BF',0,'t-1','wait','running',1,NULL);
INSERT INTO "tasks" VALUES('SEA3E',0,'t-1','cat two.txt > four.txt','pending',0,NULL);
INSERT INTO "tasks" VALUES('SF5B5',0,'shell','echo shell > shell.txt','done',1,'@COMMIT_4@');
INSERT INTO "tasks" VALUES('SF5B5',1,'agent','Write. @@write agent.txt agent@@ @@say all is written@@','done',1,'@COMMIT_6@');
INSERT INTO "tasks" VALUES('SF6C6',0,'t-1','Later. @@write later.txt later@@','running',1,NULL);
CREATE TABLE tries (
    spec          TEXT NOT NULL,
    idx           INTEGER NOT NULL,
    number        INTEGER NOT NULL,
    attempt       INTEGER NOT NULL,
    started_at    INTEGER NOT NULL,
    ended_at      INTEGER,
    outcome       TEXT,
    rejected      TEXT,
    session_id    TEXT,
    turns         INTEGER NOT NULL DEFAULT 0,
    input_tokens  INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost_usd      REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (spec, idx, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "tries" VALUES('S1400',0,1,1,@T0@+161,NULL,NULL,NULL,NULL,0,0,0,0.0);
INSERT INTO "tries" VALUES('S4D06',0,1,1,@T0@+318,@T0@+347,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0);
INSERT INTO "tries" VALUES('S4DCA',0,1,1,@T0@+177,@T0@+216,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0);
INSERT INTO "tries" VALUES('S4E9D',0,1,1,@T0@+1210,@T0@+1258,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0);
INSERT INTO "tries" VALUES('S6940',0,1,1,@T0@+156,@T0@+190,'{"kind":"succeeded"}','{"what":"verify command failed","command":"echo nothing is there; test -e nothing","how":"exit code 1","output":"nothing is there\n"}',NULL,0,0,0,0.0);
INSERT INTO "tries" VALUES('S6940',0,2,1,@T0@+243,@T0@+257,'{"kind":"succeeded"}','{"what":"verify command failed","command":"echo nothing is there; test -e nothing","how":"exit code 1","output":"nothing is there\n"}',NULL,0,0,0,0.0);
INSERT INTO "tries" VALUES('S860E',0,1,1,@T0@+1236,@T0@+1259,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0);
INSERT INTO "tries" VALUES('SC8F8',0,1,1,@T0@+1231,NULL,NULL,NULL,NULL,0,0,0,0.0);
INSERT INTO "tries" VALUES('SD11A',0,1,1,@T0@+860,@T0@+888,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0);
INSERT INTO "tries" VALUES('SD11A',1,1,1,@T0@+941,NULL,NULL,NULL,NULL,0,0,0,0.0);
INSERT INTO "tries" VALUES('SE0BF',0,1,1,@T0@+1228,NULL,NULL,NULL,NULL,0,0,0,0.0);
INSERT INTO "tries" VALUES('SF5B5',0,1,1,@T0@+170,@T0@+214,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0);
INSERT INTO "tries" VALUES('SF5B5',1,1,1,@T0@+363,@T0@+403,'{"kind":"succeeded"}',NULL,'6114fd57-bba9-49c8-b535-7e4470155095',2,123,10,0.001);
INSERT INTO "tries" VALUES('SF6C6',0,1,1,@T0@+691,@T0@+730,'{"kind":"limited","detail":{"until":"@TIME@","detail":"You''ve hit your limit · resets 12:53am (UTC)"}}',NULL,'88d4d257-e0d6-49e8-8f28-b57d94111688',1,123,10,0.001);
CREATE INDEX specs_ready ON specs (priority, seq)
    WHERE status = 'queued' AND open_deps = 0 AND not_before IS NULL;
CREATE INDEX specs_due ON specs (not_before) WHERE status = 'queued' AND not_before IS NOT NULL;
CREATE INDEX specs_running ON specs (seq) WHERE status = 'running';
CREATE INDEX specs_queued ON specs (priority, seq) WHERE status = 'queued';
CREATE INDEX specs_ended ON specs (finished_at DESC, seq DESC)
    WHERE status IN ('completed', 'failed', 'canceled');
CREATE INDEX specs_failed_by ON specs (failed_by) WHERE failed_by IS NOT NULL;
CREATE INDEX deps_needs ON deps (needs);
CREATE TRIGGER specs_counted AFTER INSERT ON specs BEGIN
    UPDATE counts SET n = n + 1 WHERE status = NEW.status;
END;
CREATE TRIGGER specs_recounted AFTER UPDATE OF status ON specs WHEN OLD.status <> NEW.status BEGIN
    UPDATE counts SET n = n - 1 WHERE status = OLD.status;
    UPDATE counts SET n = n + 1 WHERE status = NEW.status;
END;
CREATE INDEX specs_ended_as ON specs (status, finished_at DESC, seq DESC)
    WHERE status IN ('completed', 'failed', 'canceled');
CREATE INDEX attempts_started ON attempts (started_at) WHERE started_at IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('specs',15);
COMMIT;
