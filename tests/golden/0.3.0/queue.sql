PRAGMA user_version = 5;
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
INSERT INTO "attempts" VALUES('S000B',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"command":{"stage":{"verify":{"spec":{"index":0}}},"command":{"boot":"@BOOT@","marker":"@MARKER_1@"}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_17@","head":"@COMMIT_40@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+2964,@T0@+2964,NULL);
INSERT INTO "attempts" VALUES('S0FC8',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"branch"}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_17@","head":"@COMMIT_17@","first_try":1,"failure":null,"verified":"@COMMIT_17@","cut_offs":0,"deaths":0}}',NULL,@T0@+2069,@T0@+2069,@T0@+2192);
INSERT INTO "attempts" VALUES('S1870',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":{"unmerged":{"kind":"refused","refusal":{"kind":"checkout_dirty","base":"main","checkout":"@REPO@"}}}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_10@","first_try":1,"failure":null,"verified":"@COMMIT_10@","cut_offs":0,"deaths":0}}',NULL,@T0@+416,@T0@+416,@T0@+693);
INSERT INTO "attempts" VALUES('S239A',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"nothing"}},"progress":{"commands":1,"last_boot":"@BOOT@","origin":null,"head":null,"first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+737,@T0@+737,@T0@+772);
INSERT INTO "attempts" VALUES('S2CE6',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":{"unmerged":{"kind":"repository-changed","changes":[{"kind":"config-changed","name":"filter.golden.clean","old":null,"new":"cat","kept":null,"restore":"git config --file @REPO@/.git/config --unset-all filter.golden.clean","path":"@REPO@/.git/config","blocks":true,"task":"one","try":1}]}}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_17@","head":"@COMMIT_21@","first_try":1,"failure":null,"verified":"@COMMIT_21@","cut_offs":0,"deaths":0}}',NULL,@T0@+1320,@T0@+1320,@T0@+1702);
INSERT INTO "attempts" VALUES('S4A9C',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":1,"number":1}}}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_17@","head":"@COMMIT_27@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+2340,@T0@+2340,NULL);
INSERT INTO "attempts" VALUES('S4EEE',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":1,"number":1}}}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_22@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+695,@T0@+695,NULL);
INSERT INTO "attempts" VALUES('S69DA',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":0,"number":1}}}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_17@","head":"@COMMIT_17@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0,"session":{"agent":"limited","id":"61ee7c3d-a53d-4846-89c6-fa01de1de9fb"}}}',NULL,@T0@+1826,@T0@+1826,NULL);
INSERT INTO "attempts" VALUES('S70D2',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"command":{"stage":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_38@","index":1}}},"command":{"boot":"@BOOT@","marker":"@MARKER_2@"}}},"progress":{"commands":3,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_17@","head":"@COMMIT_17@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+2964,@T0@+2964,NULL);
INSERT INTO "attempts" VALUES('S7FF0',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"merged"}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_2@","head":"@COMMIT_4@","first_try":1,"failure":null,"verified":"@COMMIT_4@","cut_offs":0,"deaths":0}}',NULL,@T0@+67,@T0@+67,@T0@+206);
INSERT INTO "attempts" VALUES('S9A79',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[3600,3600],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":0,"number":2}}}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_17@","head":"@COMMIT_17@","first_try":1,"failure":{"part":{"kind":"run"},"how":{"kind":"outcome","outcome":{"kind":"failed","detail":"exit code 1"}}},"verified":null,"cut_offs":0,"deaths":0,"next_try_at":"@NEXT_TRY@"}}',NULL,@T0@+2628,@T0@+2628,NULL);
INSERT INTO "attempts" VALUES('SA526',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"branch"}},"progress":{"commands":4,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_8@","first_try":1,"failure":null,"verified":"@COMMIT_8@","cut_offs":0,"deaths":0}}',NULL,@T0@+416,@T0@+416,@T0@+907);
INSERT INTO "attempts" VALUES('SA551',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"command":{"stage":{"act":{"task":0,"number":1}},"command":{"boot":"@BOOT@","marker":"@MARKER_3@"}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_17@","head":"@COMMIT_17@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+2964,@T0@+2964,NULL);
INSERT INTO "attempts" VALUES('SBB53',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"command":{"stage":{"act":{"task":0,"number":1}},"command":{"boot":"@BOOT@","marker":"@MARKER_4@"}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_17@","head":"@COMMIT_17@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+2964,@T0@+2964,NULL);
INSERT INTO "attempts" VALUES('SCE63',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"branch"}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_16@","first_try":1,"failure":null,"verified":"@COMMIT_16@","cut_offs":0,"deaths":0}}',NULL,@T0@+521,@T0@+521,@T0@+751);
INSERT INTO "attempts" VALUES('SEBBF',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"failed":{"kind":"out_of_tries","task":"t-1","failure":{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}}},"tries":2}}},"progress":{"commands":4,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_4@","first_try":1,"failure":{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}},"output":"nothing is there\n"},"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+416,@T0@+416,@T0@+731);
INSERT INTO "attempts" VALUES('SF03B',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":1,"number":1}}}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_17@","head":"@COMMIT_25@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+2069,@T0@+2069,NULL);
INSERT INTO "attempts" VALUES('SF710',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":"canceled"},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_4@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+416,@T0@+416,@T0@+1108);
CREATE TABLE commands (
    spec     TEXT NOT NULL,
    attempt  INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    step     TEXT NOT NULL,
    PRIMARY KEY (spec, attempt, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "commands" VALUES('S000B',1,1,@T0@+3092,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S000B',1,2,@T0@+3238,'{"command":{"verify":{"spec":{"index":0}}}}');
INSERT INTO "commands" VALUES('S0FC8',1,1,@T0@+2108,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S1870',1,1,@T0@+478,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S239A',1,1,@T0@+740,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S2CE6',1,1,@T0@+1336,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S2CE6',1,2,@T0@+1524,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('S4A9C',1,1,@T0@+2388,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S4A9C',1,2,@T0@+2465,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('S4EEE',1,1,@T0@+732,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S4EEE',1,2,@T0@+810,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('S69DA',1,1,@T0@+1854,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S70D2',1,1,@T0@+2992,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S70D2',1,2,@T0@+3108,'{"command":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_38@","index":0}}}}');
INSERT INTO "commands" VALUES('S70D2',1,3,@T0@+3146,'{"command":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_38@","index":1}}}}');
INSERT INTO "commands" VALUES('S7FF0',1,1,@T0@+90,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S9A79',1,1,@T0@+2656,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SA526',1,1,@T0@+514,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SA526',1,2,@T0@+641,'{"command":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_6@","index":0}}}}');
INSERT INTO "commands" VALUES('SA526',1,3,@T0@+799,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('SA526',1,4,@T0@+876,'{"command":{"verify":{"spec":{"index":0}}}}');
INSERT INTO "commands" VALUES('SA551',1,1,@T0@+3031,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SBB53',1,1,@T0@+3043,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SCE63',1,1,@T0@+574,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SEBBF',1,1,@T0@+454,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SEBBF',1,2,@T0@+521,'{"command":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_30@","index":0}}}}');
INSERT INTO "commands" VALUES('SEBBF',1,3,@T0@+587,'{"command":{"act":{"task":0,"number":2}}}');
INSERT INTO "commands" VALUES('SEBBF',1,4,@T0@+671,'{"command":{"verify":{"task":{"of":{"task":0,"number":2},"candidate":"@COMMIT_31@","index":0}}}}');
INSERT INTO "commands" VALUES('SF03B',1,1,@T0@+2146,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SF710',1,1,@T0@+522,'{"command":{"act":{"task":0,"number":1}}}');
CREATE TABLE counts (
    status TEXT PRIMARY KEY,
    n      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "counts" VALUES('canceled',2);
INSERT INTO "counts" VALUES('completed',7);
INSERT INTO "counts" VALUES('failed',2);
INSERT INTO "counts" VALUES('queued',7);
INSERT INTO "counts" VALUES('running',5);
CREATE TABLE deps (
    spec  TEXT NOT NULL,
    needs TEXT NOT NULL,
    PRIMARY KEY (spec, needs)
) STRICT, WITHOUT ROWID;
INSERT INTO "deps" VALUES('S4327','SA551');
INSERT INTO "deps" VALUES('SC3BA','SEBBF');
CREATE TABLE holds (
    lane   TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "holds" VALUES('limited','{"cause":{"refused":{"kind":"limited","until":"@TIME@"}},"since":"@TIME@","until":"@LIMITED_UNTIL@","evidence":"You''ve hit your limit · resets 12:53am (UTC)","first":"S69DA","refused_probes":0,"probe":null}');
INSERT INTO "holds" VALUES('manual','{"cause":"by_hand","since":"@TIME@","until":null,"evidence":"","first":null,"refused_probes":0,"probe":null}');
CREATE TABLE kept (
    spec TEXT NOT NULL,
    ref  TEXT NOT NULL,
    PRIMARY KEY (spec, ref)
) STRICT, WITHOUT ROWID;
INSERT INTO "kept" VALUES('SA526','refs/boi/kept/SA526/shell-try-1-after-verify-5dd2a3aae44e');
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
INSERT INTO "repository_changes" VALUES(1,'S2CE6',1,1,0,0,'@REPO@/.git','{"kind":"config-changed","name":"filter.golden.clean","old":null,"new":"cat","kept":null,"restore":"git config --file @REPO@/.git/config --unset-all filter.golden.clean","path":"@REPO@/.git/config","blocks":true,"task":"one","try":1}',1);
INSERT INTO "repository_changes" VALUES(2,'S2CE6',1,1,0,1,'@REPO@/.git','{"kind":"deleted","name":"refs/heads/doomed","old":"@COMMIT_12@","new":null,"kept":"refs/boi/kept/S2CE6/one-try-1-doomed-62bff1f2dbb8","restore":"git -C @REPO@ update-ref refs/heads/doomed refs/boi/kept/S2CE6/one-try-1-doomed-62bff1f2dbb8 ''''","path":null,"blocks":false,"task":"one","try":1}',0);
INSERT INTO "repository_changes" VALUES(3,'S2CE6',1,2,1,0,'@REPO@','{"kind":"undone","name":"first.txt","old":"9c59e24b8393179a5d712de4f990178df5734d99","new":null,"kept":null,"restore":null,"path":null,"blocks":false,"task":"two","try":1}',0);
CREATE TABLE runs (
    spec          TEXT NOT NULL,
    attempt       INTEGER NOT NULL,
    command       INTEGER NOT NULL,
    idx           INTEGER NOT NULL,
    try           INTEGER NOT NULL,
    agent         TEXT NOT NULL,
    model         TEXT,
    ended_at      INTEGER NOT NULL,
    turns         INTEGER NOT NULL,
    input_tokens  INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cost_usd      REAL NOT NULL,
    estimated_usd REAL NOT NULL,
    unpriced      INTEGER NOT NULL,
    PRIMARY KEY (spec, attempt, command)
) STRICT, WITHOUT ROWID;
INSERT INTO "runs" VALUES('S0FC8',1,1,0,1,'claude','fake-model',@T0@+2166,1,123,3,10,0.001,0.0,0);
INSERT INTO "runs" VALUES('S69DA',1,1,0,1,'limited','fake-model',@T0@+1903,1,123,3,10,0.001,0.0,0);
INSERT INTO "runs" VALUES('SA526',1,3,1,1,'claude','fake-model',@T0@+833,2,123,3,10,0.001,0.0,0);
INSERT INTO "runs" VALUES('SF03B',1,1,0,1,'claude','fake-model',@T0@+2182,1,123,3,10,0.001,0.0,0);
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
, quarantine TEXT, merged_by TEXT, compared TEXT, blocked TEXT, unpriced_runs INTEGER NOT NULL DEFAULT 0, lane TEXT NOT NULL DEFAULT '', cached_tokens INTEGER NOT NULL DEFAULT 0, estimated_usd REAL NOT NULL DEFAULT 0, max_usd REAL) STRICT;
INSERT INTO "specs" VALUES(1,'S7FF0','Merged','{"title":"Merged","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"merge","verify":[],"tasks":[{"id":"t-1","title":"echo merged > merged.txt","action":{"run":"echo merged > merged.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',1,100,'completed',NULL,0,NULL,0,1,0,NULL,'@COMMIT_2@','@COMMIT_4@',NULL,1,'merged',@T0@+47,@T0@+67,@T0@+206,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(2,'SA526','Completed','{"title":"Completed","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":"Be brief.","agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":["test -e shell.txt"],"tasks":[{"id":"shell","title":"echo shell > shell.txt","action":{"run":"echo shell > shell.txt"},"needs":[],"verify":["echo left > left.txt; test -s shell.txt"],"timeout_minutes":null},{"id":"agent","title":"Write. @@write agent.txt agent@@ @@say all is written@@","action":{"prompt":"Write. @@write agent.txt agent@@ @@say all is written@@"},"needs":["shell"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'completed',NULL,0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_8@',NULL,1,'branch',@T0@+294,@T0@+416,@T0@+907,2,123,10,0.001,NULL,NULL,'@COMMIT_8@ @COMMIT_17@',NULL,0,'',3,0.0,NULL);
INSERT INTO "specs" VALUES(3,'SEBBF','Failed','{"title":"Failed","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo bad > bad.txt","action":{"run":"echo bad > bad.txt"},"needs":[],"verify":["echo nothing is there; test -e nothing"],"timeout_minutes":null}]}','@REPO@',0,100,'failed','{"kind":"out_of_tries","task":"t-1","failure":{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}}},"tries":2}',0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_4@','@HOME@/worktrees/SEBBF',1,NULL,@T0@+313,@T0@+416,@T0@+731,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(4,'SC3BA','Waited for the failed','{"title":"Waited for the failed","repo":null,"context":null,"agent":"claude","model":null,"priority":100,"after":["SEBBF"],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"true","action":{"run":"true"},"needs":[],"verify":[],"timeout_minutes":null}]}',NULL,0,100,'failed','{"kind":"dependency_ended","spec":"SEBBF","status":"failed"}',1,NULL,0,0,0,'SEBBF',NULL,NULL,NULL,0,NULL,@T0@+327,NULL,@T0@+731,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(5,'SF710','Canceled','{"title":"Canceled","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"wait","action":{"run":"echo x >> @WORK@/starts-canceled; echo $$ > @WORK@/pid-canceled; while ! test -e @WORK@/go-canceled; do sleep 0.02; done"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'canceled','{"kind":"canceled"}',0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_4@','@HOME@/worktrees/SF710',1,NULL,@T0@+338,@T0@+416,@T0@+1108,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(6,'S1870','Unmerged','{"title":"Unmerged","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"merge","verify":[],"tasks":[{"id":"t-1","title":"echo two > a.txt","action":{"run":"echo two > a.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',1,100,'completed','{"kind":"unmerged","why":{"kind":"refused","refusal":{"kind":"checkout_dirty","base":"main","checkout":"@REPO@"}}}',0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_10@',NULL,1,'unmerged',@T0@+353,@T0@+416,@T0@+693,0,0,0,0.0,NULL,NULL,'@COMMIT_10@ @COMMIT_17@',NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(7,'SCE63','Merged by the user','{"title":"Merged by the user","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo hand > hand.txt","action":{"run":"echo hand > hand.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'completed',NULL,0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_16@',NULL,1,'merged',@T0@+367,@T0@+521,@T0@+751,0,0,0,0.0,NULL,'user',NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(8,'S4EEE','Stopped by the user','{"title":"Stopped by the user","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"one","title":"echo one > one.txt","action":{"run":"echo one > one.txt"},"needs":[],"verify":[],"timeout_minutes":null},{"id":"two","title":"wait","action":{"run":"echo half > half.txt; echo x >> @WORK@/starts-blocked; echo $$ > @WORK@/pid-blocked; while ! test -e @WORK@/go-blocked; do sleep 0.02; done; echo two > two.txt"},"needs":["one"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','{"kind":"blocked","by":"stopped"}',0,NULL,0,1,1,NULL,'@COMMIT_4@','@COMMIT_22@','@HOME@/worktrees/S4EEE',1,NULL,@T0@+381,@T0@+695,NULL,0,0,0,0.0,NULL,NULL,NULL,'stopped',0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(9,'S239A','Scratch','{"title":"Scratch","repo":null,"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo nothing to keep","action":{"run":"echo nothing to keep"},"needs":[],"verify":[],"timeout_minutes":null}]}',NULL,0,100,'completed',NULL,0,NULL,0,1,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+393,@T0@+737,@T0@+772,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(10,'S2CE6','Changed the repository','{"title":"Changed the repository","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"merge","verify":[],"tasks":[{"id":"one","title":"echo first > first.txt; git config filter.golden.clean cat; git branch -q -D do…","action":{"run":"echo first > first.txt; git config filter.golden.clean cat; git branch -q -D doomed"},"needs":[],"verify":[],"timeout_minutes":null},{"id":"two","title":"rm first.txt; echo second > second.txt","action":{"run":"rm first.txt; echo second > second.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',1,100,'completed','{"kind":"unmerged","why":{"kind":"repository-changed","changes":[{"kind":"config-changed","name":"filter.golden.clean","old":null,"new":"cat","kept":null,"restore":"git config --file @REPO@/.git/config --unset-all filter.golden.clean","path":"@REPO@/.git/config","blocks":true,"task":"one","try":1}]}}',0,NULL,0,1,0,NULL,'@COMMIT_17@','@COMMIT_21@',NULL,1,'unmerged',@T0@+1301,@T0@+1320,@T0@+1702,0,0,0,0.0,NULL,NULL,'@COMMIT_21@ @COMMIT_17@',NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(11,'S69DA','Limited','{"title":"Limited","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"limited","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"Later. @@write later.txt later@@","action":{"prompt":"Later. @@write later.txt later@@"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','{"kind":"refused","outcome":{"kind":"limited","detail":{"until":"@TIME@","detail":"You''ve hit your limit · resets 12:53am (UTC)"}},"until":"@LIMITED_UNTIL@"}',0,NULL,1,1,1,NULL,'@COMMIT_17@','@COMMIT_17@','@HOME@/worktrees/S69DA',1,NULL,@T0@+1789,@T0@+1826,NULL,1,123,10,0.001,NULL,NULL,NULL,NULL,0,'limited',3,0.0,NULL);
INSERT INTO "specs" VALUES(12,'S2387','Held by hand','{"title":"Held by hand","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"manual","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"By hand. @@write manual.txt manual@@","action":{"prompt":"By hand. @@write manual.txt manual@@"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued',NULL,0,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+1986,NULL,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'manual',0,0.0,NULL);
INSERT INTO "specs" VALUES(13,'S0FC8','Changes nothing','{"title":"Changes nothing","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"Look. @@say nothing to do@@","action":{"prompt":"Look. @@say nothing to do@@"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'completed',NULL,0,NULL,0,1,0,NULL,'@COMMIT_17@','@COMMIT_17@',NULL,1,'branch',@T0@+2009,@T0@+2069,@T0@+2192,1,123,10,0.001,NULL,NULL,'@COMMIT_17@ @COMMIT_17@',NULL,0,'claude',3,0.0,NULL);
INSERT INTO "specs" VALUES(14,'SF03B','Over its budget','{"title":"Over its budget","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"max_usd":0.001,"tasks":[{"id":"one","title":"One. @@write one.txt one@@","action":{"prompt":"One. @@write one.txt one@@"},"needs":[],"verify":[],"timeout_minutes":null},{"id":"two","title":"Two. @@write two.txt two@@","action":{"prompt":"Two. @@write two.txt two@@"},"needs":["one"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','{"kind":"blocked","by":{"budget":{"key":"max_usd","spent":0.001,"limit":0.001}}}',0,NULL,0,1,1,NULL,'@COMMIT_17@','@COMMIT_25@','@HOME@/worktrees/SF03B',1,NULL,@T0@+2028,@T0@+2069,NULL,1,123,10,0.001,NULL,NULL,NULL,'budget',0,'claude',3,0.0,NULL);
INSERT INTO "specs" VALUES(15,'S4A9C','Stopped','{"title":"Stopped","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"one","title":"echo one > one.txt","action":{"run":"echo one > one.txt"},"needs":[],"verify":[],"timeout_minutes":null},{"id":"two","title":"wait","action":{"run":"echo half > half.txt; echo x >> @WORK@/starts-stopped; echo $$ > @WORK@/pid-stopped; while ! test -e @WORK@/go-stopped; do sleep 0.02; done; echo two > two.txt"},"needs":["one"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','{"kind":"stopped"}',0,NULL,0,1,1,NULL,'@COMMIT_17@','@COMMIT_27@','@HOME@/worktrees/S4A9C',1,NULL,@T0@+2301,@T0@+2340,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(16,'S9A79','Pauses','{"title":"Pauses","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"try","title":"echo $BOI_TRY >> tries.txt; echo $BOI_TRY > try.txt; test $BOI_TRY = 2","action":{"run":"echo $BOI_TRY >> tries.txt; echo $BOI_TRY > try.txt; test $BOI_TRY = 2"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_17@','@COMMIT_17@','@HOME@/worktrees/S9A79',1,NULL,@T0@+2589,@T0@+2628,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(17,'SA551','Running a command','{"title":"Running a command","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":[],"verify_all":true,"tasks":[{"id":"first","title":"wait","action":{"run":"echo 1 > one.txt; echo x >> @WORK@/starts-command; echo $$ > @WORK@/pid-command; while ! test -e @WORK@/go-command; do sleep 0.02; done; echo 2 > two.txt"},"needs":[],"verify":["test -e two.txt"],"timeout_minutes":null},{"id":"second","title":"echo 3 > three.txt","action":{"run":"echo 3 > three.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_17@','@COMMIT_17@','@HOME@/worktrees/SA551',1,NULL,@T0@+2736,@T0@+2964,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(18,'S70D2','Running a verify command','{"title":"Running a verify command","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo v > v.txt","action":{"run":"echo v > v.txt"},"needs":[],"verify":["true","echo x >> @WORK@/starts-verify; echo $$ > @WORK@/pid-verify; while ! test -e @WORK@/go-verify; do sleep 0.02; done; test -e v.txt"],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_17@','@COMMIT_17@','@HOME@/worktrees/S70D2',1,NULL,@T0@+2772,@T0@+2964,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(19,'SBB53','Running an agent','{"title":"Running an agent","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":"some-model","priority":1,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"wait","action":{"prompt":"Work. @@sh echo x >> @WORK@/starts-agent@@ @@touch @WORK@/pid-agent@@ @@wait @WORK@/go-agent@@ @@write agent.txt agent@@ @@say it is done@@"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_17@','@COMMIT_17@','@HOME@/worktrees/SBB53',1,NULL,@T0@+2804,@T0@+2964,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'claude',0,0.0,NULL);
INSERT INTO "specs" VALUES(20,'S000B','Running the last verify command','{"title":"Running the last verify command","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":["echo x >> @WORK@/starts-last; echo $$ > @WORK@/pid-last; while ! test -e @WORK@/go-last; do sleep 0.02; done; test -e l.txt"],"tasks":[{"id":"t-1","title":"echo l > l.txt","action":{"run":"echo l > l.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_17@','@COMMIT_40@','@HOME@/worktrees/S000B',1,NULL,@T0@+2833,@T0@+2964,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(21,'S4327','Waits for one that runs','{"title":"Waits for one that runs","repo":{"path":"@REPO@","base":{"spec":"SA551"}},"context":null,"agent":"claude","model":null,"priority":100,"after":["SA551"],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"cat two.txt > four.txt","action":{"run":"cat two.txt > four.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued',NULL,1,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+2859,NULL,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(22,'S146D','Queued','{"title":"Queued","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":200,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo q > q.txt","action":{"run":"echo q > q.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,200,'queued',NULL,0,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+2890,NULL,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(23,'S841D','Canceled before it ran','{"title":"Canceled before it ran","repo":null,"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"true","action":{"run":"true"},"needs":[],"verify":[],"timeout_minutes":null}]}',NULL,0,100,'canceled','{"kind":"canceled"}',0,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+2911,NULL,@T0@+2933,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
CREATE TABLE tasks (
    spec     TEXT NOT NULL,
    idx      INTEGER NOT NULL,
    id       TEXT NOT NULL,
    title    TEXT NOT NULL,
    status   TEXT NOT NULL,
    tries    INTEGER NOT NULL DEFAULT 0,
    commit_id TEXT, unchanged INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (spec, idx)
) STRICT, WITHOUT ROWID;
INSERT INTO "tasks" VALUES('S000B',0,'t-1','echo l > l.txt','done',1,'@COMMIT_40@',0);
INSERT INTO "tasks" VALUES('S0FC8',0,'t-1','Look. @@say nothing to do@@','done',1,NULL,1);
INSERT INTO "tasks" VALUES('S146D',0,'t-1','echo q > q.txt','pending',0,NULL,0);
INSERT INTO "tasks" VALUES('S1870',0,'t-1','echo two > a.txt','done',1,'@COMMIT_10@',0);
INSERT INTO "tasks" VALUES('S2387',0,'t-1','By hand. @@write manual.txt manual@@','pending',0,NULL,0);
INSERT INTO "tasks" VALUES('S239A',0,'t-1','echo nothing to keep','done',1,NULL,0);
INSERT INTO "tasks" VALUES('S2CE6',0,'one','echo first > first.txt; git config filter.golden.clean cat; git branch -q -D do…','done',1,'@COMMIT_19@',0);
INSERT INTO "tasks" VALUES('S2CE6',1,'two','rm first.txt; echo second > second.txt','done',1,'@COMMIT_21@',0);
INSERT INTO "tasks" VALUES('S4327',0,'t-1','cat two.txt > four.txt','pending',0,NULL,0);
INSERT INTO "tasks" VALUES('S4A9C',0,'one','echo one > one.txt','done',1,'@COMMIT_27@',0);
INSERT INTO "tasks" VALUES('S4A9C',1,'two','wait','running',1,NULL,0);
INSERT INTO "tasks" VALUES('S4EEE',0,'one','echo one > one.txt','done',1,'@COMMIT_22@',0);
INSERT INTO "tasks" VALUES('S4EEE',1,'two','wait','running',1,NULL,0);
INSERT INTO "tasks" VALUES('S69DA',0,'t-1','Later. @@write later.txt later@@','running',1,NULL,0);
INSERT INTO "tasks" VALUES('S70D2',0,'t-1','echo v > v.txt','running',1,NULL,0);
INSERT INTO "tasks" VALUES('S7FF0',0,'t-1','echo merged > merged.txt','done',1,'@COMMIT_4@',0);
INSERT INTO "tasks" VALUES('S841D',0,'t-1','true','skipped',0,NULL,0);
INSERT INTO "tasks" VALUES('S9A79',0,'try','echo $BOI_TRY >> tries.txt; echo $BOI_TRY > try.txt; test $BOI_TRY = 2','running',1,NULL,0);
INSERT INTO "tasks" VALUES('SA526',0,'shell','echo shell > shell.txt','done',1,'@COMMIT_6@',0);
INSERT INTO "tasks" VALUES('SA526',1,'agent','Write. @@write agent.txt agent@@ @@say all is written@@','done',1,'@COMMIT_8@',0);
INSERT INTO "tasks" VALUES('SA551',0,'first','wait','running',1,NULL,0);
INSERT INTO "tasks" VALUES('SA551',1,'second','echo 3 > three.txt','pending',0,NULL,0);
INSERT INTO "tasks" VALUES('SBB53',0,'t-1','wait','running',1,NULL,0);
INSERT INTO "tasks" VALUES('SC3BA',0,'t-1','true','skipped',0,NULL,0);
INSERT INTO "tasks" VALUES('SCE63',0,'t-1','echo hand > hand.txt','done',1,'@COMMIT_16@',0);
INSERT INTO "tasks" VALUES('SEBBF',0,'t-1','echo bad > bad.txt','failed',2,NULL,0);
INSERT INTO "tasks" VALUES('SF03B',0,'one','One. @@write one.txt one@@','done',1,'@COMMIT_25@',0);
INSERT INTO "tasks" VALUES('SF03B',1,'two','Two. @@write two.txt two@@','pending',0,NULL,0);
INSERT INTO "tasks" VALUES('SF710',0,'t-1','wait','skipped',1,NULL,0);
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
    cost_usd      REAL NOT NULL DEFAULT 0, unpriced_runs INTEGER NOT NULL DEFAULT 0, cached_tokens INTEGER NOT NULL DEFAULT 0, estimated_usd REAL NOT NULL DEFAULT 0, evidence TEXT, message TEXT,
    PRIMARY KEY (spec, idx, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "tries" VALUES('S000B',0,1,1,@T0@+3092,@T0@+3174,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S0FC8',0,1,1,@T0@+2108,@T0@+2166,'{"kind":"succeeded"}',NULL,'f014db4c-18e3-44f5-9608-e6b4611ef7dd',1,123,10,0.001,0,3,0.0,'{"api_error_status":null,"duration_ms":5,"is_error":false,"modelUsage":{},"num_turns":1,"permission_denials":[],"result":"nothing to do","session_id":"f014db4c-18e3-44f5-9608-e6b4611ef7dd","subtype":"success","total_cost_usd":0.001,"type":"result","usage":{"cache_creation_input_tokens":20,"cache_read_input_tokens":3,"input_tokens":100,"output_tokens":10}}','nothing to do');
INSERT INTO "tries" VALUES('S1870',0,1,1,@T0@+478,@T0@+513,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S239A',0,1,1,@T0@+740,@T0@+767,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S2CE6',0,1,1,@T0@+1336,@T0@+1448,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S2CE6',1,1,1,@T0@+1524,@T0@+1580,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S4A9C',0,1,1,@T0@+2388,@T0@+2432,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S4A9C',1,1,1,@T0@+2465,NULL,NULL,NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S4EEE',0,1,1,@T0@+732,@T0@+774,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S4EEE',1,1,1,@T0@+810,NULL,NULL,NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S69DA',0,1,1,@T0@+1854,@T0@+1903,'{"kind":"limited","detail":{"until":"@TIME@","detail":"You''ve hit your limit · resets 12:53am (UTC)"}}',NULL,'61ee7c3d-a53d-4846-89c6-fa01de1de9fb',1,123,10,0.001,0,3,0.0,'{"rate_limit_info":{"isUsingOverage":false,"overageStatus":"rejected","rateLimitType":"five_hour","resetsAt":1795866374,"status":"rejected"},"session_id":"61ee7c3d-a53d-4846-89c6-fa01de1de9fb","type":"rate_limit_event"}','You''ve hit your limit · resets 12:53am (UTC)');
INSERT INTO "tries" VALUES('S70D2',0,1,1,@T0@+2992,@T0@+3016,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S7FF0',0,1,1,@T0@+90,@T0@+114,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S9A79',0,1,1,@T0@+2656,@T0@+2684,'{"kind":"failed","detail":"exit code 1"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SA526',0,1,1,@T0@+514,@T0@+572,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SA526',1,1,1,@T0@+799,@T0@+833,'{"kind":"succeeded"}',NULL,'9464555e-4e15-4804-8d43-83ccb625f303',2,123,10,0.001,0,3,0.0,'{"api_error_status":null,"duration_ms":5,"is_error":false,"modelUsage":{},"num_turns":2,"permission_denials":[],"result":"all is written","session_id":"9464555e-4e15-4804-8d43-83ccb625f303","subtype":"success","total_cost_usd":0.001,"type":"result","usage":{"cache_creation_input_tokens":20,"cache_read_input_tokens":3,"input_tokens":100,"output_tokens":10}}','all is written');
INSERT INTO "tries" VALUES('SA551',0,1,1,@T0@+3031,NULL,NULL,NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SBB53',0,1,1,@T0@+3043,NULL,NULL,NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SCE63',0,1,1,@T0@+574,@T0@+617,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SEBBF',0,1,1,@T0@+454,@T0@+485,'{"kind":"succeeded"}','{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}},"output":"nothing is there\n"}',NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SEBBF',0,2,1,@T0@+587,@T0@+631,'{"kind":"succeeded"}','{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}},"output":"nothing is there\n"}',NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SF03B',0,1,1,@T0@+2146,@T0@+2182,'{"kind":"succeeded"}',NULL,'a1569a01-4862-4072-93e6-159907cbac03',1,123,10,0.001,0,3,0.0,'{"api_error_status":null,"duration_ms":5,"is_error":false,"modelUsage":{},"num_turns":1,"permission_denials":[],"result":"done","session_id":"a1569a01-4862-4072-93e6-159907cbac03","subtype":"success","total_cost_usd":0.001,"type":"result","usage":{"cache_creation_input_tokens":20,"cache_read_input_tokens":3,"input_tokens":100,"output_tokens":10}}','done');
INSERT INTO "tries" VALUES('SF710',0,1,1,@T0@+522,NULL,NULL,NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
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
CREATE INDEX repository_changes_blocking ON repository_changes (number) WHERE blocks = 1;
CREATE INDEX specs_eligible ON specs (lane, priority, seq)
    WHERE status = 'queued' AND open_deps = 0 AND not_before IS NULL AND quarantine IS NULL AND blocked IS NULL;
CREATE INDEX runs_ended ON runs (ended_at);
CREATE INDEX specs_blocked ON specs (blocked) WHERE blocked IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('specs',23);
INSERT INTO "sqlite_sequence" VALUES('repository_changes',3);
COMMIT;
