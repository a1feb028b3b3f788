//! The cost of reading the configuration in a tick: one snapshot from the `ArcSwap`; and of swapping it.

use std::hint::black_box;
use std::sync::Arc;

use arc_swap::ArcSwap;
use boi::config::{Config, HotConfig};
use criterion::{Criterion, criterion_group, criterion_main};

fn snapshot(criterion: &mut Criterion) {
    let hot = Arc::new(ArcSwap::from_pointee(HotConfig { generation: 1, config: Config::default() }));
    criterion.bench_function("snapshot: load_full", |bench| bench.iter(|| black_box(hot.load_full())));
    criterion.bench_function("snapshot: load", |bench| bench.iter(|| black_box(hot.load().generation)));
    criterion.bench_function("swap", |bench| {
        bench.iter(|| hot.store(Arc::new(HotConfig { generation: 2, config: Config::default() })));
    });
}

criterion_group!(benches, snapshot);
criterion_main!(benches);
