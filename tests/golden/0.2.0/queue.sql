PRAGMA user_version = 4;
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
INSERT INTO "attempts" VALUES('S3334',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"command":{"stage":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_39@","index":1}}},"command":{"boot":"@BOOT@","marker":"@MARKER_1@"}}},"progress":{"commands":3,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_18@","head":"@COMMIT_18@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+6658,@T0@+6666,NULL);
INSERT INTO "attempts" VALUES('S37F8',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"command":{"stage":{"act":{"task":0,"number":1}},"command":{"boot":"@BOOT@","marker":"@MARKER_2@"}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_18@","head":"@COMMIT_18@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+6658,@T0@+6674,NULL);
INSERT INTO "attempts" VALUES('S40E8',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":0,"number":1}}}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_18@","head":"@COMMIT_18@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+4811,@T0@+4816,NULL);
INSERT INTO "attempts" VALUES('S6661',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"branch"}},"progress":{"commands":4,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_17@","first_try":1,"failure":null,"verified":"@COMMIT_17@","cut_offs":0,"deaths":0}}',NULL,@T0@+1365,@T0@+1374,@T0@+3160);
INSERT INTO "attempts" VALUES('S8F7E',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"nothing"}},"progress":{"commands":1,"last_boot":"@BOOT@","origin":null,"head":null,"first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+2536,@T0@+2538,@T0@+2643);
INSERT INTO "attempts" VALUES('S9602',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"merged"}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_2@","head":"@COMMIT_4@","first_try":1,"failure":null,"verified":"@COMMIT_4@","cut_offs":0,"deaths":0}}',NULL,@T0@+120,@T0@+126,@T0@+765);
INSERT INTO "attempts" VALUES('SA9CD',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":1,"number":1}}}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_18@","head":"@COMMIT_25@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+5141,@T0@+5147,NULL);
INSERT INTO "attempts" VALUES('SAEF6',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":{"unmerged":{"kind":"repository-changed","changes":[{"kind":"config-changed","name":"filter.golden.clean","old":null,"new":"cat","kept":null,"restore":"git config --file @REPO@/.git/config --unset-all filter.golden.clean","path":"@REPO@/.git/config","blocks":true,"task":"one","try":1}]}}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_18@","head":"@COMMIT_22@","first_try":1,"failure":null,"verified":"@COMMIT_22@","cut_offs":0,"deaths":0}}',NULL,@T0@+3834,@T0@+3844,@T0@+4667);
INSERT INTO "attempts" VALUES('SB0D8',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"branch"}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_14@","first_try":1,"failure":null,"verified":"@COMMIT_14@","cut_offs":0,"deaths":0}}',NULL,@T0@+1480,@T0@+1481,@T0@+2133);
INSERT INTO "attempts" VALUES('SB3B5',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[3600,3600],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":0,"number":2}}}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_18@","head":"@COMMIT_18@","first_try":1,"failure":{"part":{"kind":"run"},"how":{"kind":"outcome","outcome":{"kind":"failed","detail":"exit code 1"}}},"verified":null,"cut_offs":0,"deaths":0,"next_try_at":"@NEXT_TRY@"}}',NULL,@T0@+5691,@T0@+5693,NULL);
INSERT INTO "attempts" VALUES('SBB0F',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":"canceled"},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_4@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+1365,@T0@+1382,@T0@+3465);
INSERT INTO "attempts" VALUES('SCDF1',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"command":{"stage":{"verify":{"spec":{"index":0}}},"command":{"boot":"@BOOT@","marker":"@MARKER_3@"}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_18@","head":"@COMMIT_28@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+6658,@T0@+6679,NULL);
INSERT INTO "attempts" VALUES('SD8C3',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":{"unmerged":{"kind":"refused","refusal":{"kind":"checkout_dirty","base":"main","checkout":"@REPO@"}}}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_10@","first_try":1,"failure":null,"verified":"@COMMIT_10@","cut_offs":0,"deaths":0}}',NULL,@T0@+1365,@T0@+1385,@T0@+2535);
INSERT INTO "attempts" VALUES('SDB38',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":1,"number":1}}}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_23@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+2151,@T0@+2157,NULL);
INSERT INTO "attempts" VALUES('SEF8F',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"failed":{"kind":"out_of_tries","task":"t-1","failure":{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}}},"tries":2}}},"progress":{"commands":4,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_4@","first_try":1,"failure":{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}},"output":"nothing is there\n"},"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+1365,@T0@+1378,@T0@+2802);
INSERT INTO "attempts" VALUES('SF468',1,'{"generation":1,"claude_bin":"@AGENT@","claude_args":[],"task_timeout_minutes":30,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"command":{"stage":{"act":{"task":0,"number":1}},"command":{"boot":"@BOOT@","marker":"@MARKER_4@"}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_18@","head":"@COMMIT_18@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+6658,@T0@+6662,NULL);
CREATE TABLE commands (
    spec     TEXT NOT NULL,
    attempt  INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    step     TEXT NOT NULL,
    PRIMARY KEY (spec, attempt, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "commands" VALUES('S3334',1,1,@T0@+6872,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S3334',1,2,@T0@+7143,'{"command":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_39@","index":0}}}}');
INSERT INTO "commands" VALUES('S3334',1,3,@T0@+7274,'{"command":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_39@","index":1}}}}');
INSERT INTO "commands" VALUES('S37F8',1,1,@T0@+6819,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S40E8',1,1,@T0@+4918,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S6661',1,1,@T0@+1534,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S6661',1,2,@T0@+1934,'{"command":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_6@","index":0}}}}');
INSERT INTO "commands" VALUES('S6661',1,3,@T0@+2440,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('S6661',1,4,@T0@+2901,'{"command":{"verify":{"spec":{"index":0}}}}');
INSERT INTO "commands" VALUES('S8F7E',1,1,@T0@+2540,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S9602',1,1,@T0@+327,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SA9CD',1,1,@T0@+5214,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SA9CD',1,2,@T0@+5416,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('SAEF6',1,1,@T0@+3995,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SAEF6',1,2,@T0@+4271,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('SB0D8',1,1,@T0@+1596,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SB3B5',1,1,@T0@+5781,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SBB0F',1,1,@T0@+1613,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SCDF1',1,1,@T0@+6873,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SCDF1',1,2,@T0@+7174,'{"command":{"verify":{"spec":{"index":0}}}}');
INSERT INTO "commands" VALUES('SD8C3',1,1,@T0@+1680,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SDB38',1,1,@T0@+2270,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SDB38',1,2,@T0@+2756,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('SEF8F',1,1,@T0@+1699,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SEF8F',1,2,@T0@+1994,'{"command":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_31@","index":0}}}}');
INSERT INTO "commands" VALUES('SEF8F',1,3,@T0@+2205,'{"command":{"act":{"task":0,"number":2}}}');
INSERT INTO "commands" VALUES('SEF8F',1,4,@T0@+2570,'{"command":{"verify":{"task":{"of":{"task":0,"number":2},"candidate":"@COMMIT_34@","index":0}}}}');
INSERT INTO "commands" VALUES('SF468',1,1,@T0@+6810,'{"command":{"act":{"task":0,"number":1}}}');
CREATE TABLE counts (
    status TEXT PRIMARY KEY,
    n      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "counts" VALUES('canceled',2);
INSERT INTO "counts" VALUES('completed',6);
INSERT INTO "counts" VALUES('failed',2);
INSERT INTO "counts" VALUES('queued',5);
INSERT INTO "counts" VALUES('running',5);
CREATE TABLE deps (
    spec  TEXT NOT NULL,
    needs TEXT NOT NULL,
    PRIMARY KEY (spec, needs)
) STRICT, WITHOUT ROWID;
INSERT INTO "deps" VALUES('SD59F','SEF8F');
INSERT INTO "deps" VALUES('SC26B','SF468');
CREATE TABLE kept (
    spec TEXT NOT NULL,
    ref  TEXT NOT NULL,
    PRIMARY KEY (spec, ref)
) STRICT, WITHOUT ROWID;
INSERT INTO "kept" VALUES('S6661','refs/boi/kept/S6661/shell-try-1-after-verify-b23da246581e');
CREATE TABLE repository_changes (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    spec       TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    command    INTEGER NOT NULL,
    part       INTEGER NOT NULL,
    n          INTEGER NOT NULL,
    repository TEXT NOT NULL,
    body       TEXT NOT NULL,
    blocks     INTEGER NOT NULL,
    UNIQUE (spec, attempt, command, part, n)
) STRICT;
INSERT INTO "repository_changes" VALUES(1,'SAEF6',1,1,0,0,'@REPO@/.git','{"kind":"config-changed","name":"filter.golden.clean","old":null,"new":"cat","kept":null,"restore":"git config --file @REPO@/.git/config --unset-all filter.golden.clean","path":"@REPO@/.git/config","blocks":true,"task":"one","try":1}',1);
INSERT INTO "repository_changes" VALUES(2,'SAEF6',1,1,0,1,'@REPO@/.git','{"kind":"deleted","name":"refs/heads/doomed","old":"@COMMIT_12@","new":null,"kept":"refs/boi/kept/SAEF6/one-try-1-doomed-ada51e11e3d9","restore":"git -C @REPO@ update-ref refs/heads/doomed refs/boi/kept/SAEF6/one-try-1-doomed-ada51e11e3d9 ''''","path":null,"blocks":false,"task":"one","try":1}',0);
INSERT INTO "repository_changes" VALUES(3,'SAEF6',1,2,1,0,'@REPO@','{"kind":"undone","name":"first.txt","old":"9c59e24b8393179a5d712de4f990178df5734d99","new":null,"kept":null,"restore":null,"path":null,"blocks":false,"task":"two","try":1}',0);
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
    cause       TEXT,
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
, quarantine TEXT, merged_by TEXT, compared TEXT, blocked TEXT, unpriced_runs INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "specs" VALUES(1,'S9602','Merged','{"title":"Merged","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"merge","verify":[],"tasks":[{"id":"t-1","title":"echo merged > merged.txt","action":{"run":"echo merged > merged.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',1,100,'completed',NULL,0,NULL,0,1,0,NULL,'@COMMIT_2@','@COMMIT_4@',NULL,1,'merged',@T0@+84,@T0@+120,@T0@+765,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(2,'S6661','Completed','{"title":"Completed","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":"Be brief.","agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":["test -e shell.txt"],"tasks":[{"id":"shell","title":"echo shell > shell.txt","action":{"run":"echo shell > shell.txt"},"needs":[],"verify":["echo left > left.txt; test -s shell.txt"],"timeout_minutes":null},{"id":"agent","title":"Write. @@write agent.txt agent@@ @@say all is written@@","action":{"prompt":"Write. @@write agent.txt agent@@ @@say all is written@@"},"needs":["shell"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'completed',NULL,0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_17@',NULL,1,'branch',@T0@+830,@T0@+1365,@T0@+3160,2,123,10,0.001,NULL,NULL,'@COMMIT_17@ @COMMIT_18@',NULL,0);
INSERT INTO "specs" VALUES(3,'SEF8F','Failed','{"title":"Failed","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo bad > bad.txt","action":{"run":"echo bad > bad.txt"},"needs":[],"verify":["echo nothing is there; test -e nothing"],"timeout_minutes":null}]}','@REPO@',0,100,'failed','{"kind":"out_of_tries","task":"t-1","failure":{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}}},"tries":2}',0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_4@','@HOME@/worktrees/SEF8F',1,NULL,@T0@+910,@T0@+1365,@T0@+2802,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(4,'SD59F','Waited for the failed','{"title":"Waited for the failed","repo":null,"context":null,"agent":"claude","model":null,"priority":100,"after":["SEF8F"],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"true","action":{"run":"true"},"needs":[],"verify":[],"timeout_minutes":null}]}',NULL,0,100,'failed','{"kind":"dependency_ended","spec":"SEF8F","status":"failed"}',1,NULL,0,0,0,'SEF8F',NULL,NULL,NULL,0,NULL,@T0@+944,NULL,@T0@+2802,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(5,'SBB0F','Canceled','{"title":"Canceled","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"wait","action":{"run":"echo x >> @WORK@/starts-canceled; echo $$ > @WORK@/pid-canceled; while ! test -e @WORK@/go-canceled; do sleep 0.02; done"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'canceled','{"kind":"canceled"}',0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_4@','@HOME@/worktrees/SBB0F',1,NULL,@T0@+990,@T0@+1365,@T0@+3465,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(6,'SD8C3','Unmerged','{"title":"Unmerged","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"merge","verify":[],"tasks":[{"id":"t-1","title":"echo two > a.txt","action":{"run":"echo two > a.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',1,100,'completed','{"kind":"unmerged","why":{"kind":"refused","refusal":{"kind":"checkout_dirty","base":"main","checkout":"@REPO@"}}}',0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_10@',NULL,1,'unmerged',@T0@+1095,@T0@+1365,@T0@+2535,0,0,0,0.0,NULL,NULL,'@COMMIT_10@ @COMMIT_18@',NULL,0);
INSERT INTO "specs" VALUES(7,'SB0D8','Merged by the user','{"title":"Merged by the user","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo hand > hand.txt","action":{"run":"echo hand > hand.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'completed',NULL,0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_14@',NULL,1,'merged',@T0@+1184,@T0@+1480,@T0@+2133,0,0,0,0.0,NULL,'user',NULL,NULL,0);
INSERT INTO "specs" VALUES(8,'SDB38','Stopped by the user','{"title":"Stopped by the user","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"one","title":"echo one > one.txt","action":{"run":"echo one > one.txt"},"needs":[],"verify":[],"timeout_minutes":null},{"id":"two","title":"wait","action":{"run":"echo half > half.txt; echo x >> @WORK@/starts-blocked; echo $$ > @WORK@/pid-blocked; while ! test -e @WORK@/go-blocked; do sleep 0.02; done; echo two > two.txt"},"needs":["one"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','{"kind":"blocked","by":"stopped"}',0,NULL,0,1,1,NULL,'@COMMIT_4@','@COMMIT_23@','@HOME@/worktrees/SDB38',1,NULL,@T0@+1291,@T0@+2151,NULL,0,0,0,0.0,NULL,NULL,NULL,'stopped',0);
INSERT INTO "specs" VALUES(9,'S8F7E','Scratch','{"title":"Scratch","repo":null,"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo nothing to keep","action":{"run":"echo nothing to keep"},"needs":[],"verify":[],"timeout_minutes":null}]}',NULL,0,100,'completed',NULL,0,NULL,0,1,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+1328,@T0@+2536,@T0@+2643,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(10,'SAEF6','Changed the repository','{"title":"Changed the repository","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"merge","verify":[],"tasks":[{"id":"one","title":"echo first > first.txt; git config filter.golden.clean cat; git branch -q -D do…","action":{"run":"echo first > first.txt; git config filter.golden.clean cat; git branch -q -D doomed"},"needs":[],"verify":[],"timeout_minutes":null},{"id":"two","title":"rm first.txt; echo second > second.txt","action":{"run":"rm first.txt; echo second > second.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',1,100,'completed','{"kind":"unmerged","why":{"kind":"repository-changed","changes":[{"kind":"config-changed","name":"filter.golden.clean","old":null,"new":"cat","kept":null,"restore":"git config --file @REPO@/.git/config --unset-all filter.golden.clean","path":"@REPO@/.git/config","blocks":true,"task":"one","try":1}]}}',0,NULL,0,1,0,NULL,'@COMMIT_18@','@COMMIT_22@',NULL,1,'unmerged',@T0@+3771,@T0@+3834,@T0@+4667,0,0,0,0.0,NULL,NULL,'@COMMIT_22@ @COMMIT_18@',NULL,0);
INSERT INTO "specs" VALUES(11,'S40E8','Limited','{"title":"Limited","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"Later. @@write later.txt later@@","action":{"prompt":"Later. @@write later.txt later@@"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','{"kind":"refused","outcome":{"kind":"limited","detail":{"until":"@TIME@","detail":"You''ve hit your limit · resets 12:53am (UTC)"}},"until":"@LIMITED_UNTIL@"}',0,@T0@+3616042,1,1,1,NULL,'@COMMIT_18@','@COMMIT_18@','@HOME@/worktrees/S40E8',1,NULL,@T0@+4777,@T0@+4811,NULL,1,123,10,0.001,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(12,'SA9CD','Stopped','{"title":"Stopped","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"one","title":"echo one > one.txt","action":{"run":"echo one > one.txt"},"needs":[],"verify":[],"timeout_minutes":null},{"id":"two","title":"wait","action":{"run":"echo half > half.txt; echo x >> @WORK@/starts-stopped; echo $$ > @WORK@/pid-stopped; while ! test -e @WORK@/go-stopped; do sleep 0.02; done; echo two > two.txt"},"needs":["one"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','{"kind":"stopped"}',0,NULL,0,1,1,NULL,'@COMMIT_18@','@COMMIT_25@','@HOME@/worktrees/SA9CD',1,NULL,@T0@+5092,@T0@+5141,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(13,'SB3B5','Pauses','{"title":"Pauses","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"try","title":"echo $BOI_TRY >> tries.txt; echo $BOI_TRY > try.txt; test $BOI_TRY = 2","action":{"run":"echo $BOI_TRY >> tries.txt; echo $BOI_TRY > try.txt; test $BOI_TRY = 2"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_18@','@COMMIT_18@','@HOME@/worktrees/SB3B5',1,NULL,@T0@+5649,@T0@+5691,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(14,'SF468','Running a command','{"title":"Running a command","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":[],"verify_all":true,"tasks":[{"id":"first","title":"wait","action":{"run":"echo 1 > one.txt; echo x >> @WORK@/starts-command; echo $$ > @WORK@/pid-command; while ! test -e @WORK@/go-command; do sleep 0.02; done; echo 2 > two.txt"},"needs":[],"verify":["test -e two.txt"],"timeout_minutes":null},{"id":"second","title":"echo 3 > three.txt","action":{"run":"echo 3 > three.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_18@','@COMMIT_18@','@HOME@/worktrees/SF468',1,NULL,@T0@+6091,@T0@+6658,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(15,'S3334','Running a verify command','{"title":"Running a verify command","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo v > v.txt","action":{"run":"echo v > v.txt"},"needs":[],"verify":["true","echo x >> @WORK@/starts-verify; echo $$ > @WORK@/pid-verify; while ! test -e @WORK@/go-verify; do sleep 0.02; done; test -e v.txt"],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_18@','@COMMIT_18@','@HOME@/worktrees/S3334',1,NULL,@T0@+6176,@T0@+6658,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(16,'S37F8','Running an agent','{"title":"Running an agent","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":"some-model","priority":1,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"wait","action":{"prompt":"Work. @@sh echo x >> @WORK@/starts-agent@@ @@touch @WORK@/pid-agent@@ @@wait @WORK@/go-agent@@ @@write agent.txt agent@@ @@say it is done@@"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_18@','@COMMIT_18@','@HOME@/worktrees/S37F8',1,NULL,@T0@+6278,@T0@+6658,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(17,'SCDF1','Running the last verify command','{"title":"Running the last verify command","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":["echo x >> @WORK@/starts-last; echo $$ > @WORK@/pid-last; while ! test -e @WORK@/go-last; do sleep 0.02; done; test -e l.txt"],"tasks":[{"id":"t-1","title":"echo l > l.txt","action":{"run":"echo l > l.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_18@','@COMMIT_28@','@HOME@/worktrees/SCDF1',1,NULL,@T0@+6346,@T0@+6658,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(18,'SC26B','Waits for one that runs','{"title":"Waits for one that runs","repo":{"path":"@REPO@","base":{"spec":"SF468"}},"context":null,"agent":"claude","model":null,"priority":100,"after":["SF468"],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"cat two.txt > four.txt","action":{"run":"cat two.txt > four.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued',NULL,1,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+6454,NULL,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(19,'S5584','Queued','{"title":"Queued","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":200,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo q > q.txt","action":{"run":"echo q > q.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,200,'queued',NULL,0,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+6542,NULL,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
INSERT INTO "specs" VALUES(20,'S3125','Canceled before it ran','{"title":"Canceled before it ran","repo":null,"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"true","action":{"run":"true"},"needs":[],"verify":[],"timeout_minutes":null}]}',NULL,0,100,'canceled','{"kind":"canceled"}',0,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+6585,NULL,@T0@+6623,0,0,0,0.0,NULL,NULL,NULL,NULL,0);
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
INSERT INTO "tasks" VALUES('S3125',0,'t-1','true','skipped',0,NULL);
INSERT INTO "tasks" VALUES('S3334',0,'t-1','echo v > v.txt','running',1,NULL);
INSERT INTO "tasks" VALUES('S37F8',0,'t-1','wait','running',1,NULL);
INSERT INTO "tasks" VALUES('S40E8',0,'t-1','Later. @@write later.txt later@@','running',1,NULL);
INSERT INTO "tasks" VALUES('S5584',0,'t-1','echo q > q.txt','pending',0,NULL);
INSERT INTO "tasks" VALUES('S6661',0,'shell','echo shell > shell.txt','done',1,'@COMMIT_6@');
INSERT INTO "tasks" VALUES('S6661',1,'agent','Write. @@write agent.txt agent@@ @@say all is written@@','done',1,'@COMMIT_17@');
INSERT INTO "tasks" VALUES('S8F7E',0,'t-1','echo nothing to keep','done',1,NULL);
INSERT INTO "tasks" VALUES('S9602',0,'t-1','echo merged > merged.txt','done',1,'@COMMIT_4@');
INSERT INTO "tasks" VALUES('SA9CD',0,'one','echo one > one.txt','done',1,'@COMMIT_25@');
INSERT INTO "tasks" VALUES('SA9CD',1,'two','wait','running',1,NULL);
INSERT INTO "tasks" VALUES('SAEF6',0,'one','echo first > first.txt; git config filter.golden.clean cat; git branch -q -D do…','done',1,'@COMMIT_20@');
INSERT INTO "tasks" VALUES('SAEF6',1,'two','rm first.txt; echo second > second.txt','done',1,'@COMMIT_22@');
INSERT INTO "tasks" VALUES('SB0D8',0,'t-1','echo hand > hand.txt','done',1,'@COMMIT_14@');
INSERT INTO "tasks" VALUES('SB3B5',0,'try','echo $BOI_TRY >> tries.txt; echo $BOI_TRY > try.txt; test $BOI_TRY = 2','running',1,NULL);
INSERT INTO "tasks" VALUES('SBB0F',0,'t-1','wait','skipped',1,NULL);
INSERT INTO "tasks" VALUES('SC26B',0,'t-1','cat two.txt > four.txt','pending',0,NULL);
INSERT INTO "tasks" VALUES('SCDF1',0,'t-1','echo l > l.txt','done',1,'@COMMIT_28@');
INSERT INTO "tasks" VALUES('SD59F',0,'t-1','true','skipped',0,NULL);
INSERT INTO "tasks" VALUES('SD8C3',0,'t-1','echo two > a.txt','done',1,'@COMMIT_10@');
INSERT INTO "tasks" VALUES('SDB38',0,'one','echo one > one.txt','done',1,'@COMMIT_23@');
INSERT INTO "tasks" VALUES('SDB38',1,'two','wait','running',1,NULL);
INSERT INTO "tasks" VALUES('SEF8F',0,'t-1','echo bad > bad.txt','failed',2,NULL);
INSERT INTO "tasks" VALUES('SF468',0,'first','wait','running',1,NULL);
INSERT INTO "tasks" VALUES('SF468',1,'second','echo 3 > three.txt','pending',0,NULL);
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
    cost_usd      REAL NOT NULL DEFAULT 0, unpriced_runs INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (spec, idx, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "tries" VALUES('S3334',0,1,1,@T0@+6872,@T0@+6979,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('S37F8',0,1,1,@T0@+6819,NULL,NULL,NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('S40E8',0,1,1,@T0@+4918,@T0@+5018,'{"kind":"limited","detail":{"until":"@TIME@","detail":"You''ve hit your limit · resets 12:53am (UTC)"}}',NULL,'4c7e3ece-6314-448f-a311-c98a07216857',1,123,10,0.001,0);
INSERT INTO "tries" VALUES('S6661',0,1,1,@T0@+1534,@T0@+1713,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('S6661',1,1,1,@T0@+2440,@T0@+2718,'{"kind":"succeeded"}',NULL,'0f3d1686-0049-4752-a39a-155a12582f9c',2,123,10,0.001,0);
INSERT INTO "tries" VALUES('S8F7E',0,1,1,@T0@+2540,@T0@+2628,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('S9602',0,1,1,@T0@+327,@T0@+414,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SA9CD',0,1,1,@T0@+5214,@T0@+5293,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SA9CD',1,1,1,@T0@+5416,NULL,NULL,NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SAEF6',0,1,1,@T0@+3995,@T0@+4114,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SAEF6',1,1,1,@T0@+4271,@T0@+4394,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SB0D8',0,1,1,@T0@+1596,@T0@+1712,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SB3B5',0,1,1,@T0@+5781,@T0@+6000,'{"kind":"failed","detail":"exit code 1"}',NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SBB0F',0,1,1,@T0@+1613,NULL,NULL,NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SCDF1',0,1,1,@T0@+6873,@T0@+6971,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SD8C3',0,1,1,@T0@+1680,@T0@+1841,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SDB38',0,1,1,@T0@+2270,@T0@+2400,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SDB38',1,1,1,@T0@+2756,NULL,NULL,NULL,NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SEF8F',0,1,1,@T0@+1699,@T0@+1782,'{"kind":"succeeded"}','{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}},"output":"nothing is there\n"}',NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SEF8F',0,2,1,@T0@+2205,@T0@+2440,'{"kind":"succeeded"}','{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}},"output":"nothing is there\n"}',NULL,0,0,0,0.0,0);
INSERT INTO "tries" VALUES('SF468',0,1,1,@T0@+6810,NULL,NULL,NULL,NULL,0,0,0,0.0,0);
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
CREATE INDEX specs_quarantined ON specs (seq) WHERE quarantine IS NOT NULL;
CREATE INDEX specs_unlanded ON specs (seq)
    WHERE status = 'completed' AND has_branch = 1 AND delivery IN ('branch', 'unmerged');
CREATE INDEX specs_eligible ON specs (priority, seq)
    WHERE status = 'queued' AND open_deps = 0 AND not_before IS NULL AND quarantine IS NULL AND blocked IS NULL;
CREATE INDEX repository_changes_blocking ON repository_changes (number) WHERE blocks = 1;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('specs',20);
INSERT INTO "sqlite_sequence" VALUES('repository_changes',3);
COMMIT;
