//! What boi does inside its own process: `cargo bench --bench in_process [-- FILTER]`.
//!
//! | bench | what is measured |
//! | --- | --- |
//! | `decide` | the decision of a tick with 64 free slots |
//! | `enqueue` | one spec, with 100, 10,000 and 1,000,000 queued specs on the disk |
//! | `decide and claim` | the queries, the decision and the claim of such a tick, with as many queued specs |
//! | `configuration` | the read of the snapshot, in a tick with `load_full`; and a swap |
//! | `parse` | the text of a spec with 20 tasks |
//! | `diagnose` | the output of an agent, line by line, and the outcome of its run |
//!
//! `-- --test` runs each once, with a queue of 1,000 specs, to show that it works.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use boi::agents::{EndedRun, builtin};
use boi::bench_support::{Backlog, decide, parse};
use boi::config::{Config, HotConfig};
use boi::domain::command::{CommandEnd, EndCause, ExitStatus};
use boi::domain::outcome::TryOutcome;
use boi::domain::time::Timestamp;
use boi::system::paths::Home;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

const SLOTS: u32 = 64;
const TRIVIAL: &str = "title = 'Bench'\n[[tasks]]\nrun = 'exit 0'\n";

fn pure(criterion: &mut Criterion) {
    criterion.bench_function("decide: 64 free slots", |bench| {
        bench.iter(|| decide(black_box(SLOTS), black_box(SLOTS + 1)));
    });
    let hot = Arc::new(ArcSwap::from_pointee(HotConfig { generation: 1, config: Config::default() }));
    criterion.bench_function("configuration: load_full", |bench| bench.iter(|| black_box(hot.load_full())));
    criterion.bench_function("configuration: load", |bench| bench.iter(|| black_box(hot.load().generation)));
    criterion.bench_function("configuration: swap", |bench| {
        bench.iter(|| hot.store(Arc::new(HotConfig { generation: 2, config: Config::default() })));
    });
    let spec = long_spec();
    let mut group = criterion.benchmark_group("parse");
    group.throughput(Throughput::Bytes(spec.len() as u64));
    group.bench_function("20 tasks", |bench| bench.iter(|| parse(black_box(&spec))));
    group.finish();
    diagnose(criterion);
}

fn long_spec() -> String {
    let mut spec = "title = 'Bench'\ncontext = '''\nMany lines.\n'''\nverify = ['make test']\n".to_owned();
    for number in 1..=20 {
        writeln!(spec, "[[tasks]]\nid = 'task-{number}'\ntitle = 'Task {number}'\nprompt = '''").expect("text");
        (0..20).for_each(|_| spec.push_str("Change what the program prints, so that each message names its cause.\n"));
        writeln!(spec, "'''\nverify = ['make lint']").expect("text");
    }
    spec
}

/// A run of Claude Code with 1,000 calls of tools, each with a result of 1 KiB.
fn output() -> String {
    let mut output =
        r#"{"type":"system","subtype":"init","session_id":"3f22","permissionMode":"bypassPermissions"}"#.to_owned();
    let result = "a line of a file, as a tool prints it\\n".repeat(26);
    for number in 0..1_000 {
        write!(
            output,
            r#"
{{"type":"assistant","session_id":"3f22","message":{{"id":"msg_{number}","type":"message","role":"assistant","model":"claude-opus-4-8","content":[{{"type":"text","text":"Now the file {number}."}},{{"type":"tool_use","id":"toolu_{number}","name":"Read","input":{{"file_path":"/src/{number}.rs"}}}}],"usage":{{"input_tokens":1200,"output_tokens":1}}}}}}
{{"type":"user","message":{{"role":"user","content":[{{"tool_use_id":"toolu_{number}","type":"tool_result","content":"{result}","is_error":false}}]}},"session_id":"3f22"}}"#
        )
        .expect("text");
    }
    output.push_str("\n{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"session_id\":\"3f22\",\"num_turns\":1000}\n");
    output
}

fn diagnose(criterion: &mut Criterion) {
    let (output, claude) = (output(), builtin("claude").expect("an agent").kind);
    let end = CommandEnd::new(EndCause::Finished, Some(ExitStatus::Code(0)), Timestamp(0));
    let run = || {
        let mut transcript = claude.transcript();
        output.split_inclusive('\n').for_each(|line| transcript.push(line.as_bytes()));
        let reading = transcript.finish();
        let run = EndedRun { end: &end, reading: &reading, stderr: "", now: Timestamp(0), zone: |_| None };
        claude.dialect().diagnose(&run).outcome
    };
    assert_eq!(run(), TryOutcome::Succeeded);
    let mut group = criterion.benchmark_group("diagnose");
    group.throughput(Throughput::Elements(output.lines().count() as u64));
    group.bench_function("lines", |bench| bench.iter(run));
    group.throughput(Throughput::Bytes(output.len() as u64));
    group.bench_function("bytes", |bench| bench.iter(run));
    group.finish();
}

fn queue(criterion: &mut Criterion) {
    let is_quick = std::env::args().any(|argument| argument == "--test");
    let sizes = if is_quick { [10, 100, 1_000] } else { [100, 10_000, 1_000_000] };
    let folder = tempfile::tempdir().expect("a folder");
    let home = Home::at(folder.path().join("boi"));
    home.prepare().expect("a home");
    let backlog = Backlog::open(&home, TRIVIAL);
    let mut group = criterion.benchmark_group("queue");
    // Each iteration syncs to the disk.
    group.sample_size(30).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    let mut queued = 0;
    for size in sizes {
        while queued < size {
            queued += backlog.enqueue((size - queued).min(10_000)).len();
        }
        group.bench_function(format!("enqueue, {size} queued"), |bench| {
            bench.iter_custom(|count| {
                let one = |_| {
                    let began = Instant::now();
                    let spec = backlog.enqueue(1);
                    let took = began.elapsed();
                    backlog.cancel(&spec[0]);
                    took
                };
                (0..count).map(one).sum()
            });
        });
        if size < SLOTS as usize {
            continue;
        }
        // The claimed specs stay in the queue as running; as many new ones replace them.
        group.bench_function(format!("decide and claim, {size} queued"), |bench| {
            bench.iter_custom(|count| {
                let one = |_| {
                    let began = Instant::now();
                    let claimed = backlog.tick(SLOTS);
                    let took = began.elapsed();
                    assert_eq!(claimed, backlog.enqueue(SLOTS as usize).len());
                    took
                };
                (0..count).map(one).sum()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pure, queue);
criterion_main!(benches);
