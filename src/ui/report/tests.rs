//! Tests of the forms of the report, with one sample that has an entry in each list.

use std::collections::HashMap;

use super::diff::{DiffLine, LineKind, ShownDiff};
use super::html::html;
use super::markdown::markdown;
use super::text::text;
use crate::domain::id::SpecId;
use crate::domain::outcome::{MergedBy, Usage};
use crate::domain::report::{
    BaseMove, DiffSize, Merged, Need, Open, Overlap, Report, Review, Running, SpecLine, Totals, Waiting,
};
use crate::domain::text::width;
use crate::domain::time::Timestamp;

/// A text that does harm if it is not escaped.
const HOSTILE: &str = "<script>alert(1)</script> \"'& \x1b[2J\x1b]0;t\x07 \u{202e}evil\u{2066} `x` *y* [z](u)";

fn id(number: u32) -> SpecId {
    format!("S{number:04X}").parse().unwrap()
}

fn line(number: u32, title: &str, cost_usd: f64) -> SpecLine {
    SpecLine {
        id: id(number),
        title: title.into(),
        repo: Some("/r".into()),
        branch: Some(id(number).branch()),
        tries: number,
        attempt_tries: number,
        max_tries: Some(9),
        usage: Usage { turns: 1, cost_usd, ..Usage::default() },
        finished_at: Some(Timestamp(0)),
    }
}

fn sample() -> Report {
    let review = |number, title: &str, added, files, on, overlaps| Review {
        spec: line(number, title, 0.31),
        commits: 1,
        diff: Some(DiffSize { files, added, deleted: 0, binary: 0 }),
        on,
        overlaps,
    };
    Report {
        at: Timestamp(600_000),
        since: Timestamp(0),
        began_at: None,
        ended_at: None,
        wall_ms: 27_060_000,
        totals: Totals {
            specs: 28,
            unmerged: 1,
            failed: 7,
            causes: 5,
            unchanged: 1,
            to_review: 2,
            merged: 1,
            done: 1,
            canceled: 1,
            dropped: 0,
            usage: Usage { turns: 9, cost_usd: 41.2, unpriced_runs: 2, ..Usage::default() },
            agents: vec![],
            bases: vec![BaseMove { repo: "/r".into(), base: "main".into(), specs: 1, commits: Some(6) }],
        },
        needs_you: vec![
            Need::NothingStarts { reason: "the queue is paused".into(), next: Some("boi resume".into()) },
            Need::ConfigRejected { errors: vec!["config.toml:1:1: bad".into()], next: "boi config check".into() },
            Need::Unmerged {
                spec: line(1, "Rewrite router, way 2", 1.0),
                reason: "merge conflicts with main in router.py. Merge by hand, or resolve the conflicts and run \
                         `boi retry S0001`."
                    .into(),
                stops: vec![id(0x50)],
                next: "boi retry S0001".into(),
            },
            Need::Failed {
                cause: "the verify command failed (`pytest`): exit code 1".into(),
                output: Some("AssertionError: cart is slow (1)".into()),
                advice: None,
                specs: vec![line(4, "Speed up the cart 1", 2.1)],
                stops: vec![id(0x51), id(0x52)],
                next: "boi log S0004".into(),
            },
            Need::NoChanges {
                spec: line(3, "Choose a database", 0.1),
                message: Some("I looked at both.\n\nPostgres or SQLite?".into()),
                asks: true,
                next: "boi retry S0003 --note TEXT".into(),
            },
        ],
        to_review: vec![
            review(
                1,
                "Changelog entry 1",
                1,
                1,
                None,
                vec![Overlap { id: id(0x60), files: vec!["CHANGELOG".into()], count: 2 }],
            ),
            review(
                1,
                "日本語のタイトル, which is long, and which does not fit on one line",
                4,
                2,
                Some(id(0x61)),
                vec![],
            ),
        ],
        older_to_review: 3,
        merged: vec![Merged { spec: line(5, "Merged one", 0.5), base: Some("main".into()), by: MergedBy::User }],
        done: vec![line(6, "Scratch", 0.0)],
        canceled: vec![line(7, "Canceled one", 0.0)],
        dropped: vec![],
        open: Open {
            running: vec![Running {
                id: id(8),
                title: "Running one".into(),
                task: Some("t-1".into()),
                number: 2,
                since: Some(Timestamp(0)),
                usage: Usage::default(),
                reason: Some("API: 529, retry 7 of 10".into()),
            }],
            queued: 12,
            next: vec![Waiting { id: id(9), title: "Queued one".into(), reason: Some("waits for S0008".into()) }],
        },
        more: true,
    }
}

fn empty() -> Report {
    let lists = Report { needs_you: vec![], to_review: vec![], merged: vec![], done: vec![], ..sample() };
    Report {
        totals: Totals::default(),
        canceled: vec![],
        dropped: vec![],
        open: Open::default(),
        older_to_review: 0,
        more: false,
        ..lists
    }
}

/// The sample with hostile text in every place that is not boi's own.
fn hostile() -> Report {
    let mut report = sample();
    let hostile = || HOSTILE.to_owned();
    let spoil = |spec: &mut SpecLine| spec.title = hostile();
    for need in &mut report.needs_you {
        match need {
            Need::NothingStarts { reason, .. } | Need::Held { reason, .. } => *reason = hostile(),
            Need::ConfigRejected { errors, .. } => *errors = vec![hostile()],
            Need::Unmerged { spec, reason, .. } | Need::Blocked { spec, reason, .. } => {
                spoil(spec);
                *reason = hostile();
            }
            Need::Failed { cause, output, advice, specs, .. } => {
                (*cause, *output, *advice) = (hostile(), Some(hostile()), Some(hostile()));
                specs.iter_mut().for_each(spoil);
            }
            Need::NoChanges { spec, message, .. } => {
                spoil(spec);
                *message = Some(hostile());
            }
        }
    }
    for review in &mut report.to_review {
        spoil(&mut review.spec);
        review.overlaps = vec![Overlap { id: id(1), files: vec![hostile()], count: 1 }];
    }
    report.merged[0].base = Some(hostile());
    report.totals.bases[0].base = hostile();
    report.open.running[0].title = hostile();
    report.open.running[0].task = Some(hostile());
    report.open.next[0].reason = Some(hostile());
    report
}

/// Returns the lines after the first, which contains a time in the zone of the machine.
fn after_first(text: &str) -> String {
    let text = anstream::adapter::strip_str(text).to_string();
    text.split_once('\n').expect("lines").1.to_owned()
}

#[test]
fn the_text_fits_a_terminal_and_has_a_next_command_in_each_need() {
    insta::assert_snapshot!(after_first(&text(&sample(), Some(80))), @r##"
      1 unmerged, 7 failed (5 causes), 1 without changes, 2 to review, 1 merged, 1
      done, 1 canceled, 1 still running, 12 queued

    NEEDS YOU
      nothing starts: the queue is paused
             > boi resume
      config.toml is not valid: config.toml:1:1: bad
             > boi config check
      S0001  try 1/9    $1.00  unmerged  Rewrite router, way 2
             merge conflicts with main in router.py. Merge by hand, or resolve the
             conflicts and run `boi retry S0001`.
             also stops S0050
             > boi retry S0001
      1 failed: the verify command failed (`pytest`): exit code 1
             last line: AssertionError: cart is slow (1)
             S0004  try 4/9    $2.10  Speed up the cart 1
             also stops S0051, S0052
             > boi log S0004
      S0003  try 3/9    $0.10  no changes  Choose a database
             asks: I looked at both. Postgres or SQLite?
             > boi retry S0003 --note TEXT
      retry all that failed: boi retry --failed; retry one with a note for its
      agent: boi retry ID --note TEXT; reject: boi drop ID

    TO REVIEW, smallest first
      S0001  +1 -0        1 file    try 1/9    $0.31  Changelog entry 1
             ! also changed by S0060 (CHANGELOG and 1 more)
      S0001  +4 -0        2 files   try 1/9    $0.31  日本語のタイトル, which is lo…
             builds on S0061, which is not merged
      look: boi diff ID; merge: boi merge ID; merge all: boi merge --all; send back:
      boi retry ID --note TEXT; reject: boi drop ID

    MERGED
      S0005  try 5/9    $0.50  into main, by hand  Merged one

    DONE, nothing to review
      S0006  try 6/9    $0.00  Scratch

    CANCELED
      S0007  try 7/9    $0.00  Canceled one

    STILL OPEN
      S0008  running  task t-1, try 2, for 10 min           Running one
             API: 529, retry 7 of 10
      S0009  queued   Queued one
             waits for S0008
      ... 11 more queued: `boi status --status queued`

    3 older branches are not merged: `boi report --since 30d` shows what ended in 30
    days
    more specs ended in this time: the report has the last 28; choose a later
    `--since`
    "##);
}

#[test]
fn the_first_line_has_the_sums() {
    let first = |report: &Report| {
        anstream::adapter::strip_str(&text(report, None)).to_string().lines().next().unwrap().to_owned()
    };
    let line = first(&sample());
    assert!(line.starts_with("since ") && line.ends_with(", 28 specs, $41.20 (+2 unknown), main +6"), "{line}");
    let night = Report { began_at: Some(Timestamp(0)), ..sample() };
    assert!(first(&night).contains(" to now (7 h 31 min), 28 specs"), "{}", first(&night));
    let unknown = Usage { turns: 1, unpriced_runs: 2, ..Usage::default() };
    let unpriced = Report { totals: Totals { usage: unknown, ..sample().totals }, ..sample() };
    assert!(first(&unpriced).ends_with("28 specs, cost of 2 runs unknown, main +6"), "{}", first(&unpriced));
}

#[test]
fn no_line_is_wider_than_the_terminal_and_a_pipe_gets_whole_reasons() {
    for columns in [40, 60, 80, 200] {
        for report in [sample(), hostile()] {
            let shown = anstream::adapter::strip_str(&text(&report, Some(columns))).to_string();
            let wide: Vec<&str> = shown.lines().filter(|line| width(line) > columns).collect();
            assert!(wide.is_empty(), "{columns}: {wide:#?}");
        }
    }
    let piped = text(&sample(), None);
    assert!(
        piped.contains("router.py. Merge by hand, or resolve the conflicts and run `boi retry S0001`.\n"),
        "{piped}"
    );
}

#[test]
fn an_empty_report_says_so() {
    assert!(text(&empty(), None).contains("nothing ended, nothing runs, nothing waits"));
    assert!(markdown(&empty()).contains("Nothing ended, nothing runs, nothing waits."));
    assert!(html(&empty(), &HashMap::new()).contains("Nothing ended, nothing runs, nothing waits."));
}

#[test]
fn the_markdown_has_a_list_for_each_part() {
    let shown = markdown(&sample());
    let after = shown.split_once("main +6\n").expect("the first lines").1;
    insta::assert_snapshot!(after, @r##"

    1 unmerged, 7 failed (5 causes), 1 without changes, 2 to review, 1 merged, 1 done, 1 canceled, 1 still running, 12 queued

    ## Needs you

    - **nothing starts**: the queue is paused
      - next: `boi resume`
    - **config.toml is not valid**: config.toml:1:1: bad
      - next: `boi config check`
    - **unmerged** `S0001` Rewrite router, way 2, try 1/9, \$1.00: merge conflicts with main in router.py. Merge by hand, or resolve the conflicts and run \`boi retry S0001\`.
      - also stops S0050
      - next: `boi retry S0001`
    - **1 failed**: the verify command failed (\`pytest\`): exit code 1
      - last line: `AssertionError: cart is slow (1)`
      - `S0004` Speed up the cart 1, try 4/9, \$2.10
      - also stops S0051, S0052
      - next: `boi log S0004`
    - **no changes** `S0003` Choose a database, try 3/9, \$0.10
      - asks: `I looked at both. Postgres or SQLite?`
      - next: `boi retry S0003 --note TEXT`

    ## To review, smallest first

    - `S0001` Changelog entry 1, try 1/9, \$0.31, +1 -0 1 file
      - \! also changed by S0060 (CHANGELOG and 1 more)
    - `S0001` 日本語のタイトル, which is long, and which does not fit on one line, try 1/9, \$0.31, +4 -0 2 files, on `S0061`

    look: `boi diff ID`, merge: `boi merge ID`, merge all: `boi merge --all`, send back: `boi retry ID --note TEXT`, reject: `boi drop ID`

    ## Merged

    - `S0005` Merged one, try 5/9, \$0.50, into main, by hand

    ## Done, nothing to review

    - `S0006` Scratch, try 6/9, \$0.00

    ## Canceled

    - `S0007` Canceled one, try 7/9, \$0.00

    ## Still open

    - `S0008` Running one, running: task t-1, try 2, for 10 min
    - `S0009` Queued one, queued: waits for S0008
    - 11 more queued

    3 older branches are not merged: `boi report --since 30d` shows what ended in 30 days

    more specs ended in this time: the report has the last 28; choose a later `--since`
    "##);
}

#[test]
fn no_form_contains_markup_or_control_characters_of_others() {
    let report = hostile();
    let diff = ShownDiff {
        lines: vec![DiffLine { kind: LineKind::Added, text: "+</pre><script>alert(1)</script>".into() }],
        files_left_out: 2,
        is_cut: true,
    };
    let page = html(&report, &HashMap::from([(id(1), diff)]));
    for tag in ["<script", "<img", "javascript:", "style=", "onclick"] {
        assert!(!page.contains(tag), "{tag}");
    }
    let unsafe_char =
        |c: char| c != '\n' && c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    // Printing makes the unsafe characters of the text visible.
    let printed = crate::domain::escape::escaped_styled(&text(&report, Some(80))).into_owned();
    let plain = anstream::adapter::strip_str(&printed).to_string();
    for shown in [&page, &markdown(&report), &plain] {
        let found: Vec<char> = shown.chars().filter(|c| unsafe_char(*c)).collect();
        assert_eq!(found, Vec::<char>::new());
    }
    assert!(!markdown(&report).contains(" <script"), "{}", markdown(&report));
    assert_eq!(page.matches("</pre>").count(), page.matches("<pre>").count());
    assert!(page.contains("whole diff: <code>boi diff S0001</code>"));
}

#[test]
fn the_page_allows_no_script_and_no_other_file() {
    let page = html(&sample(), &HashMap::new());
    let policy = page.split_once("Content-Security-Policy\" content=\"").unwrap().1.split_once('"').unwrap().0;
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for reference in ["src=", "href=", "url(", "@import"] {
        assert!(!page.contains(reference), "{reference}");
    }
    for tag in ["article", "details", "ul", "li", "p", "div", "span", "pre", "code", "small", "h2"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}
