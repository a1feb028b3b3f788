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
INSERT INTO "attempts" VALUES('S0425',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":{"unmerged":{"kind":"repository-changed","changes":[{"kind":"config-changed","name":"filter.golden.clean","old":null,"new":"cat","kept":null,"restore":"git config --file @REPO@/.git/config --unset-all filter.golden.clean","path":"@REPO@/.git/config","blocks":true,"task":"one","try":1}]}}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_7@","head":"@COMMIT_11@","first_try":1,"failure":null,"verified":"@COMMIT_11@","cut_offs":0,"deaths":0}}',NULL,@T0@+1704,@T0@+1704,@T0@+2084);
INSERT INTO "attempts" VALUES('S09B5',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":1,"number":1}}}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_19@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+1086,@T0@+1086,NULL);
INSERT INTO "attempts" VALUES('S0B4F',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[3600,3600],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":0,"number":2}}}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_7@","head":"@COMMIT_7@","first_try":1,"failure":{"part":{"kind":"run"},"how":{"kind":"outcome","outcome":{"kind":"failed","detail":"exit code 1"}}},"verified":null,"cut_offs":0,"deaths":0,"next_try_at":"@NEXT_TRY@"}}',NULL,@T0@+3240,@T0@+3240,NULL);
INSERT INTO "attempts" VALUES('S1263',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"command":{"stage":{"act":{"task":0,"number":1}},"command":{"boot":"@BOOT@","marker":"@MARKER_1@"}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_7@","head":"@COMMIT_7@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+3815,@T0@+3815,NULL);
INSERT INTO "attempts" VALUES('S17F6',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"branch"}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_6@","first_try":1,"failure":null,"verified":"@COMMIT_6@","cut_offs":0,"deaths":0}}',NULL,@T0@+907,@T0@+907,@T0@+1088);
INSERT INTO "attempts" VALUES('S20E4',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":{"unmerged":{"kind":"refused","refusal":{"kind":"checkout_dirty","base":"main","checkout":"@REPO@"}}}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_24@","first_try":1,"failure":null,"verified":"@COMMIT_24@","cut_offs":0,"deaths":0}}',NULL,@T0@+795,@T0@+795,@T0@+1080);
INSERT INTO "attempts" VALUES('S2104',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"command":{"stage":{"act":{"task":0,"number":1}},"command":{"boot":"@BOOT@","marker":"@MARKER_2@"}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_7@","head":"@COMMIT_7@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+3815,@T0@+3815,NULL);
INSERT INTO "attempts" VALUES('S4C31',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"merged"}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_2@","head":"@COMMIT_4@","first_try":1,"failure":null,"verified":"@COMMIT_4@","cut_offs":0,"deaths":0}}',NULL,@T0@+193,@T0@+193,@T0@+441);
INSERT INTO "attempts" VALUES('S8265',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"branch"}},"progress":{"commands":4,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_23@","first_try":1,"failure":null,"verified":"@COMMIT_23@","cut_offs":0,"deaths":0}}',NULL,@T0@+795,@T0@+795,@T0@+1322);
INSERT INTO "attempts" VALUES('S912C',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":2,"number":1}}}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_7@","head":"@COMMIT_14@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+2537,@T0@+2537,NULL);
INSERT INTO "attempts" VALUES('S9846',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"nothing"}},"progress":{"commands":1,"last_boot":"@BOOT@","origin":null,"head":null,"first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+1090,@T0@+1090,@T0@+1124);
INSERT INTO "attempts" VALUES('SA1B9',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"command":{"stage":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_41@","index":1}}},"command":{"boot":"@BOOT@","marker":"@MARKER_3@"}}},"progress":{"commands":3,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_7@","head":"@COMMIT_7@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+3815,@T0@+3815,NULL);
INSERT INTO "attempts" VALUES('SA23F',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"failed":{"kind":"out_of_tries","task":"t-1","failure":{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}}},"tries":2}}},"progress":{"commands":4,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_4@","first_try":1,"failure":{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}},"output":"nothing is there\n"},"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+795,@T0@+795,@T0@+1159);
INSERT INTO "attempts" VALUES('SB99A',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":1,"number":1}}}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_7@","head":"@COMMIT_27@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+2892,@T0@+2892,NULL);
INSERT INTO "attempts" VALUES('SC9AE',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"prepare":{"checkout":"as_it_is","then":{"command":{"act":{"task":0,"number":1}}}}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_7@","head":"@COMMIT_7@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0,"session":{"agent":"limited","id":"186fa9d1-7ca4-4480-b3ba-d631a43ddfc0"}}}',NULL,@T0@+2246,@T0@+2246,NULL);
INSERT INTO "attempts" VALUES('SDB85',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"command":{"stage":{"verify":{"spec":{"index":0}}},"command":{"boot":"@BOOT@","marker":"@MARKER_4@"}}},"progress":{"commands":2,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_7@","head":"@COMMIT_39@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+3815,@T0@+3815,NULL);
INSERT INTO "attempts" VALUES('SDD85',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":{"completed":"branch"}},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_7@","head":"@COMMIT_7@","first_try":1,"failure":null,"verified":"@COMMIT_7@","cut_offs":0,"deaths":0}}',NULL,@T0@+2537,@T0@+2537,@T0@+2672);
INSERT INTO "attempts" VALUES('SE7D9',1,'{"generation":1,"agents":{"claude":{"command":"@AGENT@","output":"claude-stream-json"},"codex":{"command":"codex","output":"codex-jsonl"},"gemini":{"command":"gemini","output":"gemini-stream-json"},"limited":{"command":"@AGENT@","output":"claude-stream-json"},"manual":{"command":"@AGENT@","output":"claude-stream-json"},"opencode":{"command":"opencode","output":"opencode-json"}},"task_timeout_minutes":30,"stall_timeout_minutes":15,"retry_count":1,"retry_backoff_seconds":[0,0],"cleanup_on_failure":false,"stop_grace_seconds":1,"max_output_mb":512}',1,'{"format":2,"step":{"close":"canceled"},"progress":{"commands":1,"last_boot":"@BOOT@","repository":{"common_dir":"@REPO@/.git","boot":"@BOOT@","device":@REPO_DEVICE@,"inode":@REPO_INODE@},"origin":"@COMMIT_4@","head":"@COMMIT_4@","first_try":1,"failure":null,"verified":null,"cut_offs":0,"deaths":0}}',NULL,@T0@+795,@T0@+795,@T0@+1489);
CREATE TABLE commands (
    spec     TEXT NOT NULL,
    attempt  INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    step     TEXT NOT NULL,
    PRIMARY KEY (spec, attempt, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "commands" VALUES('S0425',1,1,@T0@+1762,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S0425',1,2,@T0@+1913,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('S09B5',1,1,@T0@+1126,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S09B5',1,2,@T0@+1196,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('S0B4F',1,1,@T0@+3300,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S1263',1,1,@T0@+3892,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S17F6',1,1,@T0@+949,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S20E4',1,1,@T0@+910,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S2104',1,1,@T0@+3856,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S4C31',1,1,@T0@+226,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S8265',1,1,@T0@+861,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S8265',1,2,@T0@+1002,'{"command":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_21@","index":0}}}}');
INSERT INTO "commands" VALUES('S8265',1,3,@T0@+1137,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('S8265',1,4,@T0@+1257,'{"command":{"verify":{"spec":{"index":0}}}}');
INSERT INTO "commands" VALUES('S912C',1,1,@T0@+2592,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('S912C',1,2,@T0@+2693,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('S9846',1,1,@T0@+1090,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SA1B9',1,1,@T0@+3936,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SA1B9',1,2,@T0@+4024,'{"command":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_41@","index":0}}}}');
INSERT INTO "commands" VALUES('SA1B9',1,3,@T0@+4061,'{"command":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_41@","index":1}}}}');
INSERT INTO "commands" VALUES('SA23F',1,1,@T0@+890,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SA23F',1,2,@T0@+1010,'{"command":{"verify":{"task":{"of":{"task":0,"number":1},"candidate":"@COMMIT_31@","index":0}}}}');
INSERT INTO "commands" VALUES('SA23F',1,3,@T0@+1050,'{"command":{"act":{"task":0,"number":2}}}');
INSERT INTO "commands" VALUES('SA23F',1,4,@T0@+1131,'{"command":{"verify":{"task":{"of":{"task":0,"number":2},"candidate":"@COMMIT_34@","index":0}}}}');
INSERT INTO "commands" VALUES('SB99A',1,1,@T0@+2935,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SB99A',1,2,@T0@+3048,'{"command":{"act":{"task":1,"number":1}}}');
INSERT INTO "commands" VALUES('SC9AE',1,1,@T0@+2280,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SDB85',1,1,@T0@+3952,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SDB85',1,2,@T0@+4077,'{"command":{"verify":{"spec":{"index":0}}}}');
INSERT INTO "commands" VALUES('SDD85',1,1,@T0@+2572,'{"command":{"act":{"task":0,"number":1}}}');
INSERT INTO "commands" VALUES('SE7D9',1,1,@T0@+913,'{"command":{"act":{"task":0,"number":1}}}');
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
INSERT INTO "deps" VALUES('SAF05','S2104');
INSERT INTO "deps" VALUES('SF43C','SA23F');
CREATE TABLE holds (
    lane   TEXT PRIMARY KEY,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "holds" VALUES('limited','{"cause":{"refused":{"kind":"limited","until":"@TIME@"}},"since":"@TIME@","until":"@LIMITED_UNTIL@","evidence":"You''ve hit your limit · resets 12:53am (UTC)","first":"SC9AE","refused_probes":0,"probe":null}');
INSERT INTO "holds" VALUES('manual','{"cause":"by_hand","since":"@TIME@","until":null,"evidence":"","first":null,"refused_probes":0,"probe":null}');
CREATE TABLE kept (
    spec TEXT NOT NULL,
    ref  TEXT NOT NULL,
    PRIMARY KEY (spec, ref)
) STRICT, WITHOUT ROWID;
INSERT INTO "kept" VALUES('S8265','refs/boi/kept/S8265/shell-try-1-after-verify-ddf2534b3486');
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
INSERT INTO "repository_changes" VALUES(1,'S0425',1,1,0,0,'@REPO@/.git','{"kind":"config-changed","name":"filter.golden.clean","old":null,"new":"cat","kept":null,"restore":"git config --file @REPO@/.git/config --unset-all filter.golden.clean","path":"@REPO@/.git/config","blocks":true,"task":"one","try":1}',1);
INSERT INTO "repository_changes" VALUES(2,'S0425',1,1,0,1,'@REPO@/.git','{"kind":"deleted","name":"refs/heads/doomed","old":"@COMMIT_18@","new":null,"kept":"refs/boi/kept/S0425/one-try-1-doomed-b8dd93f33b46","restore":"git -C @REPO@ update-ref refs/heads/doomed refs/boi/kept/S0425/one-try-1-doomed-b8dd93f33b46 ''''","path":null,"blocks":false,"task":"one","try":1}',0);
INSERT INTO "repository_changes" VALUES(3,'S0425',1,2,1,0,'@REPO@','{"kind":"undone","name":"first.txt","old":"9c59e24b8393179a5d712de4f990178df5734d99","new":null,"kept":null,"restore":null,"path":null,"blocks":false,"task":"two","try":1}',0);
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
INSERT INTO "runs" VALUES('S8265',1,3,1,1,'claude','fake-model',@T0@+1176,2,123,3,10,0.001,0.0,0);
INSERT INTO "runs" VALUES('S912C',1,1,0,1,'claude','fake-model',@T0@+2648,1,123,3,10,0.001,0.0,0);
INSERT INTO "runs" VALUES('S912C',1,2,1,1,'claude','fake-model',@T0@+2736,1,123,3,10,0.001,0.0,0);
INSERT INTO "runs" VALUES('SC9AE',1,1,0,1,'limited','fake-model',@T0@+2337,1,123,3,10,0.001,0.0,0);
INSERT INTO "runs" VALUES('SDD85',1,1,0,1,'claude','fake-model',@T0@+2628,1,123,3,10,0.001,0.0,0);
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
INSERT INTO "specs" VALUES(1,'S4C31','Merged','{"title":"Merged","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"merge","verify":[],"tasks":[{"id":"t-1","title":"echo merged > merged.txt","action":{"run":"echo merged > merged.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',1,100,'completed',NULL,0,NULL,0,1,0,NULL,'@COMMIT_2@','@COMMIT_4@',NULL,1,'merged',@T0@+114,@T0@+193,@T0@+441,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(2,'S8265','Completed','{"title":"Completed","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":"Be brief.","agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":["test -e shell.txt"],"tasks":[{"id":"shell","title":"echo shell > shell.txt","action":{"run":"echo shell > shell.txt"},"needs":[],"verify":["echo left > left.txt; test -s shell.txt"],"timeout_minutes":null},{"id":"agent","title":"Write. @@write agent.txt agent@@ @@say all is written@@","action":{"prompt":"Write. @@write agent.txt agent@@ @@say all is written@@"},"needs":["shell"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'completed',NULL,0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_23@',NULL,1,'branch',@T0@+482,@T0@+795,@T0@+1322,2,123,10,0.001,NULL,NULL,'@COMMIT_23@ @COMMIT_7@',NULL,0,'',3,0.0,NULL);
INSERT INTO "specs" VALUES(3,'SA23F','Failed','{"title":"Failed","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo bad > bad.txt","action":{"run":"echo bad > bad.txt"},"needs":[],"verify":["echo nothing is there; test -e nothing"],"timeout_minutes":null}]}','@REPO@',0,100,'failed','{"kind":"out_of_tries","task":"t-1","failure":{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}}},"tries":2}',0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_4@','@HOME@/worktrees/SA23F',1,NULL,@T0@+515,@T0@+795,@T0@+1159,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(4,'SF43C','Waited for the failed','{"title":"Waited for the failed","repo":null,"context":null,"agent":"claude","model":null,"priority":100,"after":["SA23F"],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"true","action":{"run":"true"},"needs":[],"verify":[],"timeout_minutes":null}]}',NULL,0,100,'failed','{"kind":"dependency_ended","spec":"SA23F","status":"failed"}',1,NULL,0,0,0,'SA23F',NULL,NULL,NULL,0,NULL,@T0@+545,NULL,@T0@+1159,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(5,'SE7D9','Canceled','{"title":"Canceled","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"wait","action":{"run":"echo x >> @WORK@/starts-canceled; echo $$ > @WORK@/pid-canceled; while ! test -e @WORK@/go-canceled; do sleep 0.02; done"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'canceled','{"kind":"canceled"}',0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_4@','@HOME@/worktrees/SE7D9',1,NULL,@T0@+587,@T0@+795,@T0@+1489,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(6,'S20E4','Unmerged','{"title":"Unmerged","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"merge","verify":[],"tasks":[{"id":"t-1","title":"echo two > a.txt","action":{"run":"echo two > a.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',1,100,'completed','{"kind":"unmerged","why":{"kind":"refused","refusal":{"kind":"checkout_dirty","base":"main","checkout":"@REPO@"}}}',0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_24@',NULL,1,'unmerged',@T0@+621,@T0@+795,@T0@+1080,0,0,0,0.0,NULL,NULL,'@COMMIT_24@ @COMMIT_7@',NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(7,'S17F6','Merged by the user','{"title":"Merged by the user","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo hand > hand.txt","action":{"run":"echo hand > hand.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'completed',NULL,0,NULL,0,1,0,NULL,'@COMMIT_4@','@COMMIT_6@',NULL,1,'merged',@T0@+657,@T0@+907,@T0@+1088,0,0,0,0.0,NULL,'user',NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(8,'S09B5','Stopped by the user','{"title":"Stopped by the user","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"one","title":"echo one > one.txt","action":{"run":"echo one > one.txt"},"needs":[],"verify":[],"timeout_minutes":null},{"id":"two","title":"wait","action":{"run":"echo half > half.txt; echo x >> @WORK@/starts-blocked; echo $$ > @WORK@/pid-blocked; while ! test -e @WORK@/go-blocked; do sleep 0.02; done; echo two > two.txt"},"needs":["one"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','{"kind":"blocked","by":"stopped"}',0,NULL,0,1,1,NULL,'@COMMIT_4@','@COMMIT_19@','@HOME@/worktrees/S09B5',1,NULL,@T0@+703,@T0@+1086,NULL,0,0,0,0.0,NULL,NULL,NULL,'stopped',0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(9,'S9846','Scratch','{"title":"Scratch","repo":null,"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo nothing to keep","action":{"run":"echo nothing to keep"},"needs":[],"verify":[],"timeout_minutes":null}]}',NULL,0,100,'completed',NULL,0,NULL,0,1,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+737,@T0@+1090,@T0@+1124,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(10,'S0425','Changed the repository','{"title":"Changed the repository","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"merge","verify":[],"tasks":[{"id":"one","title":"echo first > first.txt; git config filter.golden.clean cat; git branch -q -D do…","action":{"run":"echo first > first.txt; git config filter.golden.clean cat; git branch -q -D doomed"},"needs":[],"verify":[],"timeout_minutes":null},{"id":"two","title":"rm first.txt; echo second > second.txt","action":{"run":"rm first.txt; echo second > second.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',1,100,'completed','{"kind":"unmerged","why":{"kind":"repository-changed","changes":[{"kind":"config-changed","name":"filter.golden.clean","old":null,"new":"cat","kept":null,"restore":"git config --file @REPO@/.git/config --unset-all filter.golden.clean","path":"@REPO@/.git/config","blocks":true,"task":"one","try":1}]}}',0,NULL,0,1,0,NULL,'@COMMIT_7@','@COMMIT_11@',NULL,1,'unmerged',@T0@+1676,@T0@+1704,@T0@+2084,0,0,0,0.0,NULL,NULL,'@COMMIT_11@ @COMMIT_7@',NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(11,'SC9AE','Limited','{"title":"Limited","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"limited","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"Later. @@write later.txt later@@","action":{"prompt":"Later. @@write later.txt later@@"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','{"kind":"refused","outcome":{"kind":"limited","detail":{"until":"@TIME@","detail":"You''ve hit your limit · resets 12:53am (UTC)"}},"until":"@LIMITED_UNTIL@"}',0,NULL,1,1,1,NULL,'@COMMIT_7@','@COMMIT_7@','@HOME@/worktrees/SC9AE',1,NULL,@T0@+2188,@T0@+2246,NULL,1,123,10,0.001,NULL,NULL,NULL,NULL,0,'limited',3,0.0,NULL);
INSERT INTO "specs" VALUES(12,'S06EE','Held by hand','{"title":"Held by hand","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"manual","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"By hand. @@write manual.txt manual@@","action":{"prompt":"By hand. @@write manual.txt manual@@"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued',NULL,0,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+2430,NULL,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'manual',0,0.0,NULL);
INSERT INTO "specs" VALUES(13,'SDD85','Changes nothing','{"title":"Changes nothing","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"Look. @@say nothing to do@@","action":{"prompt":"Look. @@say nothing to do@@"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'completed',NULL,0,NULL,0,1,0,NULL,'@COMMIT_7@','@COMMIT_7@',NULL,1,'branch',@T0@+2456,@T0@+2537,@T0@+2672,1,123,10,0.001,NULL,NULL,'@COMMIT_7@ @COMMIT_7@',NULL,0,'claude',3,0.0,NULL);
INSERT INTO "specs" VALUES(14,'S912C','Over its budget','{"title":"Over its budget","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"one","title":"One. @@write one.txt one@@","action":{"prompt":"One. @@write one.txt one@@"},"needs":[],"verify":[],"timeout_minutes":null},{"id":"two","title":"Two. @@write two.txt two@@","action":{"prompt":"Two. @@write two.txt two@@"},"needs":["one"],"verify":[],"timeout_minutes":null},{"id":"three","title":"Three. @@write three.txt three@@","action":{"prompt":"Three. @@write three.txt three@@"},"needs":["two"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','{"kind":"blocked","by":{"budget":{"key":"max_usd_per_spec","spent":0.002,"limit":0.0015}}}',0,NULL,0,1,1,NULL,'@COMMIT_7@','@COMMIT_14@','@HOME@/worktrees/S912C',1,NULL,@T0@+2503,@T0@+2537,NULL,2,246,20,0.002,NULL,NULL,NULL,'budget',0,'claude',6,0.0,NULL);
INSERT INTO "specs" VALUES(15,'SB99A','Stopped','{"title":"Stopped","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"one","title":"echo one > one.txt","action":{"run":"echo one > one.txt"},"needs":[],"verify":[],"timeout_minutes":null},{"id":"two","title":"wait","action":{"run":"echo half > half.txt; echo x >> @WORK@/starts-stopped; echo $$ > @WORK@/pid-stopped; while ! test -e @WORK@/go-stopped; do sleep 0.02; done; echo two > two.txt"},"needs":["one"],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued','{"kind":"stopped"}',0,NULL,0,1,1,NULL,'@COMMIT_7@','@COMMIT_27@','@HOME@/worktrees/SB99A',1,NULL,@T0@+2854,@T0@+2892,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(16,'S0B4F','Pauses','{"title":"Pauses","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"try","title":"echo $BOI_TRY >> tries.txt; echo $BOI_TRY > try.txt; test $BOI_TRY = 2","action":{"run":"echo $BOI_TRY >> tries.txt; echo $BOI_TRY > try.txt; test $BOI_TRY = 2"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_7@','@COMMIT_7@','@HOME@/worktrees/S0B4F',1,NULL,@T0@+3190,@T0@+3240,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(17,'S2104','Running a command','{"title":"Running a command","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":[],"verify_all":true,"tasks":[{"id":"first","title":"wait","action":{"run":"echo 1 > one.txt; echo x >> @WORK@/starts-command; echo $$ > @WORK@/pid-command; while ! test -e @WORK@/go-command; do sleep 0.02; done; echo 2 > two.txt"},"needs":[],"verify":["test -e two.txt"],"timeout_minutes":null},{"id":"second","title":"echo 3 > three.txt","action":{"run":"echo 3 > three.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_7@','@COMMIT_7@','@HOME@/worktrees/S2104',1,NULL,@T0@+3408,@T0@+3815,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(18,'SA1B9','Running a verify command','{"title":"Running a verify command","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo v > v.txt","action":{"run":"echo v > v.txt"},"needs":[],"verify":["true","echo x >> @WORK@/starts-verify; echo $$ > @WORK@/pid-verify; while ! test -e @WORK@/go-verify; do sleep 0.02; done; test -e v.txt"],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_7@','@COMMIT_7@','@HOME@/worktrees/SA1B9',1,NULL,@T0@+3454,@T0@+3815,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(19,'S1263','Running an agent','{"title":"Running an agent","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":"some-model","priority":1,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"wait","action":{"prompt":"Work. @@sh echo x >> @WORK@/starts-agent@@ @@touch @WORK@/pid-agent@@ @@wait @WORK@/go-agent@@ @@write agent.txt agent@@ @@say it is done@@"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_7@','@COMMIT_7@','@HOME@/worktrees/S1263',1,NULL,@T0@+3503,@T0@+3815,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'claude',0,0.0,NULL);
INSERT INTO "specs" VALUES(20,'SDB85','Running the last verify command','{"title":"Running the last verify command","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":1,"after":[],"deliver":"branch","verify":["echo x >> @WORK@/starts-last; echo $$ > @WORK@/pid-last; while ! test -e @WORK@/go-last; do sleep 0.02; done; test -e l.txt"],"tasks":[{"id":"t-1","title":"echo l > l.txt","action":{"run":"echo l > l.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,1,'running',NULL,0,NULL,0,1,0,NULL,'@COMMIT_7@','@COMMIT_39@','@HOME@/worktrees/SDB85',1,NULL,@T0@+3548,@T0@+3815,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(21,'SAF05','Waits for one that runs','{"title":"Waits for one that runs","repo":{"path":"@REPO@","base":{"spec":"S2104"}},"context":null,"agent":"claude","model":null,"priority":100,"after":["S2104"],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"cat two.txt > four.txt","action":{"run":"cat two.txt > four.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,100,'queued',NULL,1,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+3627,NULL,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(22,'S9BE4','Queued','{"title":"Queued","repo":{"path":"@REPO@","base":{"revision":"main"}},"context":null,"agent":"claude","model":null,"priority":200,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"echo q > q.txt","action":{"run":"echo q > q.txt"},"needs":[],"verify":[],"timeout_minutes":null}]}','@REPO@',0,200,'queued',NULL,0,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+3689,NULL,NULL,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
INSERT INTO "specs" VALUES(23,'S4946','Canceled before it ran','{"title":"Canceled before it ran","repo":null,"context":null,"agent":"claude","model":null,"priority":100,"after":[],"deliver":"branch","verify":[],"tasks":[{"id":"t-1","title":"true","action":{"run":"true"},"needs":[],"verify":[],"timeout_minutes":null}]}',NULL,0,100,'canceled','{"kind":"canceled"}',0,NULL,0,0,0,NULL,NULL,NULL,NULL,0,NULL,@T0@+3728,NULL,@T0@+3746,0,0,0,0.0,NULL,NULL,NULL,NULL,0,'',0,0.0,NULL);
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
INSERT INTO "tasks" VALUES('S0425',0,'one','echo first > first.txt; git config filter.golden.clean cat; git branch -q -D do…','done',1,'@COMMIT_9@',0);
INSERT INTO "tasks" VALUES('S0425',1,'two','rm first.txt; echo second > second.txt','done',1,'@COMMIT_11@',0);
INSERT INTO "tasks" VALUES('S06EE',0,'t-1','By hand. @@write manual.txt manual@@','pending',0,NULL,0);
INSERT INTO "tasks" VALUES('S09B5',0,'one','echo one > one.txt','done',1,'@COMMIT_19@',0);
INSERT INTO "tasks" VALUES('S09B5',1,'two','wait','running',1,NULL,0);
INSERT INTO "tasks" VALUES('S0B4F',0,'try','echo $BOI_TRY >> tries.txt; echo $BOI_TRY > try.txt; test $BOI_TRY = 2','running',1,NULL,0);
INSERT INTO "tasks" VALUES('S1263',0,'t-1','wait','running',1,NULL,0);
INSERT INTO "tasks" VALUES('S17F6',0,'t-1','echo hand > hand.txt','done',1,'@COMMIT_6@',0);
INSERT INTO "tasks" VALUES('S20E4',0,'t-1','echo two > a.txt','done',1,'@COMMIT_24@',0);
INSERT INTO "tasks" VALUES('S2104',0,'first','wait','running',1,NULL,0);
INSERT INTO "tasks" VALUES('S2104',1,'second','echo 3 > three.txt','pending',0,NULL,0);
INSERT INTO "tasks" VALUES('S4946',0,'t-1','true','skipped',0,NULL,0);
INSERT INTO "tasks" VALUES('S4C31',0,'t-1','echo merged > merged.txt','done',1,'@COMMIT_4@',0);
INSERT INTO "tasks" VALUES('S8265',0,'shell','echo shell > shell.txt','done',1,'@COMMIT_21@',0);
INSERT INTO "tasks" VALUES('S8265',1,'agent','Write. @@write agent.txt agent@@ @@say all is written@@','done',1,'@COMMIT_23@',0);
INSERT INTO "tasks" VALUES('S912C',0,'one','One. @@write one.txt one@@','done',1,'@COMMIT_12@',0);
INSERT INTO "tasks" VALUES('S912C',1,'two','Two. @@write two.txt two@@','done',1,'@COMMIT_14@',0);
INSERT INTO "tasks" VALUES('S912C',2,'three','Three. @@write three.txt three@@','pending',0,NULL,0);
INSERT INTO "tasks" VALUES('S9846',0,'t-1','echo nothing to keep','done',1,NULL,0);
INSERT INTO "tasks" VALUES('S9BE4',0,'t-1','echo q > q.txt','pending',0,NULL,0);
INSERT INTO "tasks" VALUES('SA1B9',0,'t-1','echo v > v.txt','running',1,NULL,0);
INSERT INTO "tasks" VALUES('SA23F',0,'t-1','echo bad > bad.txt','failed',2,NULL,0);
INSERT INTO "tasks" VALUES('SAF05',0,'t-1','cat two.txt > four.txt','pending',0,NULL,0);
INSERT INTO "tasks" VALUES('SB99A',0,'one','echo one > one.txt','done',1,'@COMMIT_27@',0);
INSERT INTO "tasks" VALUES('SB99A',1,'two','wait','running',1,NULL,0);
INSERT INTO "tasks" VALUES('SC9AE',0,'t-1','Later. @@write later.txt later@@','running',1,NULL,0);
INSERT INTO "tasks" VALUES('SDB85',0,'t-1','echo l > l.txt','done',1,'@COMMIT_39@',0);
INSERT INTO "tasks" VALUES('SDD85',0,'t-1','Look. @@say nothing to do@@','done',1,NULL,1);
INSERT INTO "tasks" VALUES('SE7D9',0,'t-1','wait','skipped',1,NULL,0);
INSERT INTO "tasks" VALUES('SF43C',0,'t-1','true','skipped',0,NULL,0);
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
INSERT INTO "tries" VALUES('S0425',0,1,1,@T0@+1762,@T0@+1856,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S0425',1,1,1,@T0@+1913,@T0@+1964,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S09B5',0,1,1,@T0@+1126,@T0@+1152,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S09B5',1,1,1,@T0@+1196,NULL,NULL,NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S0B4F',0,1,1,@T0@+3300,@T0@+3352,'{"kind":"failed","detail":"exit code 1"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S1263',0,1,1,@T0@+3892,NULL,NULL,NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S17F6',0,1,1,@T0@+949,@T0@+1008,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S20E4',0,1,1,@T0@+910,@T0@+950,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S2104',0,1,1,@T0@+3856,NULL,NULL,NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S4C31',0,1,1,@T0@+226,@T0@+264,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S8265',0,1,1,@T0@+861,@T0@+912,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('S8265',1,1,1,@T0@+1137,@T0@+1176,'{"kind":"succeeded"}',NULL,'6d48ef6e-796f-4015-a54e-c23c89e363b6',2,123,10,0.001,0,3,0.0,'{"api_error_status":null,"duration_ms":5,"is_error":false,"modelUsage":{},"num_turns":2,"permission_denials":[],"result":"all is written","session_id":"6d48ef6e-796f-4015-a54e-c23c89e363b6","subtype":"success","total_cost_usd":0.001,"type":"result","usage":{"cache_creation_input_tokens":20,"cache_read_input_tokens":3,"input_tokens":100,"output_tokens":10}}','all is written');
INSERT INTO "tries" VALUES('S912C',0,1,1,@T0@+2592,@T0@+2648,'{"kind":"succeeded"}',NULL,'22328018-c69a-451d-9630-3562543094a0',1,123,10,0.001,0,3,0.0,'{"api_error_status":null,"duration_ms":5,"is_error":false,"modelUsage":{},"num_turns":1,"permission_denials":[],"result":"done","session_id":"22328018-c69a-451d-9630-3562543094a0","subtype":"success","total_cost_usd":0.001,"type":"result","usage":{"cache_creation_input_tokens":20,"cache_read_input_tokens":3,"input_tokens":100,"output_tokens":10}}','done');
INSERT INTO "tries" VALUES('S912C',1,1,1,@T0@+2693,@T0@+2736,'{"kind":"succeeded"}',NULL,'fec5b0c5-347d-4b49-820d-c0d0053f0bb7',1,123,10,0.001,0,3,0.0,'{"api_error_status":null,"duration_ms":5,"is_error":false,"modelUsage":{},"num_turns":1,"permission_denials":[],"result":"done","session_id":"fec5b0c5-347d-4b49-820d-c0d0053f0bb7","subtype":"success","total_cost_usd":0.001,"type":"result","usage":{"cache_creation_input_tokens":20,"cache_read_input_tokens":3,"input_tokens":100,"output_tokens":10}}','done');
INSERT INTO "tries" VALUES('S9846',0,1,1,@T0@+1090,@T0@+1120,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SA1B9',0,1,1,@T0@+3936,@T0@+3971,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SA23F',0,1,1,@T0@+890,@T0@+950,'{"kind":"succeeded"}','{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}},"output":"nothing is there\n"}',NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SA23F',0,2,1,@T0@+1050,@T0@+1088,'{"kind":"succeeded"}','{"part":{"kind":"verify","command":"echo nothing is there; test -e nothing","number":1,"count":1},"how":{"kind":"exited","status":{"code":1}},"output":"nothing is there\n"}',NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SB99A',0,1,1,@T0@+2935,@T0@+3004,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SB99A',1,1,1,@T0@+3048,NULL,NULL,NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SC9AE',0,1,1,@T0@+2280,@T0@+2337,'{"kind":"limited","detail":{"until":"@TIME@","detail":"You''ve hit your limit · resets 12:53am (UTC)"}}',NULL,'186fa9d1-7ca4-4480-b3ba-d631a43ddfc0',1,123,10,0.001,0,3,0.0,'{"rate_limit_info":{"isUsingOverage":false,"overageStatus":"rejected","rateLimitType":"five_hour","resetsAt":1795864087,"status":"rejected"},"session_id":"186fa9d1-7ca4-4480-b3ba-d631a43ddfc0","type":"rate_limit_event"}','You''ve hit your limit · resets 12:53am (UTC)');
INSERT INTO "tries" VALUES('SDB85',0,1,1,@T0@+3952,@T0@+4012,'{"kind":"succeeded"}',NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
INSERT INTO "tries" VALUES('SDD85',0,1,1,@T0@+2572,@T0@+2628,'{"kind":"succeeded"}',NULL,'782d015d-5791-4239-bc3b-a4370be80718',1,123,10,0.001,0,3,0.0,'{"api_error_status":null,"duration_ms":5,"is_error":false,"modelUsage":{},"num_turns":1,"permission_denials":[],"result":"nothing to do","session_id":"782d015d-5791-4239-bc3b-a4370be80718","subtype":"success","total_cost_usd":0.001,"type":"result","usage":{"cache_creation_input_tokens":20,"cache_read_input_tokens":3,"input_tokens":100,"output_tokens":10}}','nothing to do');
INSERT INTO "tries" VALUES('SE7D9',0,1,1,@T0@+913,NULL,NULL,NULL,NULL,0,0,0,0.0,0,0,0.0,NULL,NULL);
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
