//! How reliably and how fast a saved `config.toml` takes effect: `cargo bench --bench reload [-- ROUNDS [STYLE]]`.
//!
//! Saves the file ROUNDS times (default 25) in each style, against the real reload thread. The delay is the time from the
//! end of the save, by the file's modification time or the clock, to the swap of the configuration. Exits with 1 if a
//! figure is worse than documented.

#![expect(clippy::disallowed_methods, reason = "benches start programs and read the environment")]

use std::process::ExitCode;
use std::time::Duration;

#[path = "../tests/helpers/saves.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod saves;

fn main() -> ExitCode {
    // The reload thread starts this program again to look at files on foreign mounts.
    if let Some(answered) = boi::reload::answer_look(std::env::args_os()) {
        return answered;
    }
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let rounds = arguments.first().and_then(|rounds| rounds.parse().ok()).unwrap_or(25);
    let wanted = arguments.get(1).map(String::as_str).unwrap_or("");
    println!(
        "{:<40} {:>5} {:>6} {:>5} {:>9} {:>9} {:>9}  target of p99",
        "style", "saves", "missed", "wrong", "median", "p99", "most"
    );
    let (mut total, mut ordinary, mut good) = (saves::Figures::default(), saves::Figures::default(), true);
    for style in saves::styles().iter().chain(&saves::mounted_styles()).filter(|style| style.name.contains(wanted)) {
        let Some(figures) = saves::measure(style, rounds) else {
            println!("{:<40} skipped: `{}` is not installed", style.name, style.program);
            continue;
        };
        row(style.name, &figures, Some(style.within));
        good &= figures.missed == 0 && figures.wrong == 0 && figures.percentile(0.99) <= style.within;
        for sum in [Some(&mut total), (style.within == saves::ORDINARY).then_some(&mut ordinary)] {
            let Some(sum) = sum else { continue };
            sum.saves += figures.saves;
            sum.missed += figures.missed;
            sum.wrong += figures.wrong;
            sum.delays.extend(&figures.delays);
        }
    }
    row("all that close or rename", &ordinary, Some(saves::ORDINARY));
    row("all", &total, None);
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn row(name: &str, figures: &saves::Figures, within: Option<Duration>) {
    let ms = |of: Duration| format!("{:.1} ms", of.as_secs_f64() * 1000.0);
    let target = within.map_or(String::new(), |within| format!("<= {}", ms(within)));
    println!(
        "{name:<40} {:>5} {:>6} {:>5} {:>9} {:>9} {:>9}  {target}",
        figures.saves,
        figures.missed,
        figures.wrong,
        ms(figures.percentile(0.5)),
        ms(figures.percentile(0.99)),
        ms(figures.percentile(1.0))
    );
}
