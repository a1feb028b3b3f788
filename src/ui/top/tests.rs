//! Tests of the dashboard: what keys do, and what each screen looks like.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::domain::cause::{ApiRetry, Cause};
use crate::domain::id::SpecId;
use crate::domain::life::{Block, SpecStatus, TaskStatus};
use crate::domain::outcome::{Delivery, Usage};
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::domain::verdict::ReloadOutcome;
use crate::domain::view::{
    BuildsView, ConfigView, Counts, DaemonView, HoldView, SlotsView, SpecView, SpendingView, StatusView, StoreView,
    TaskView,
};
use crate::ui::sample;

const NOW: Timestamp = Timestamp(100_000_000);
const HOSTILE: &str = "evil\u{1b}[2J\u{1b}]0;owned\u{7}\n\u{202e}title";

fn id(text: &str) -> SpecId {
    text.parse().unwrap()
}

fn spec(number: u32, status: SpecStatus, title: &str) -> SpecView {
    let queued_at = NOW.plus_millis(-3_600_000);
    SpecView { queued_at, repo: Some("/home/you/api".into()), ..sample::spec(number, status, title) }
}

fn task(id: &str, status: TaskStatus, unchanged: bool) -> TaskView {
    TaskView {
        id: id.to_owned(),
        title: id.to_owned(),
        status,
        tries: 1,
        commit: None,
        unchanged,
        usage: Usage::default(),
        history: vec![],
    }
}

fn ended() -> Vec<SpecView> {
    let cost = |cost_usd| Usage { turns: 1, cost_usd, ..Usage::default() };
    let unmerged = SpecView {
        delivery: Some(Delivery::Unmerged),
        reason: Some(
            "conflict: router.py with S600D. Merge by hand, or resolve the conflicts and run `boi retry S2C70`.".into(),
        ),
        usage: cost(0.42),
        ..spec(0x2C70, SpecStatus::Completed, "Rewrite router, way 2")
    };
    let blocked = SpecView {
        cause: Some(Cause::Blocked { by: Block::Stopped }),
        reason: Some("blocked: stopped by the user. `boi retry SB10C` continues the spec at the same step.".into()),
        ..spec(0xB10C, SpecStatus::Queued, "Upgrade the database")
    };
    let failed = SpecView {
        reason: Some("task cart: the run command failed: exit code 1, on try 4 of 4".into()),
        usage: cost(2.1),
        ..spec(0xFFC1, SpecStatus::Failed, "カートを速くする 👩‍🚀 speed up the cart")
    };
    let nothing = SpecView {
        tasks: vec![task("ask", TaskStatus::Done, true)],
        usage: cost(0.05),
        ..spec(0xBBF5, SpecStatus::Completed, HOSTILE)
    };
    let fine = spec(0x6F8F, SpecStatus::Completed, "Changelog entry");
    vec![unmerged, blocked, failed, nothing, fine]
}

fn running() -> Vec<Running> {
    let of = |number, title: &str, cause| SpecView {
        tasks: vec![task("one", TaskStatus::Done, false), task("middleware", TaskStatus::Running, false)],
        attempt_started_at: Some(NOW.plus_millis(-720_000)),
        usage: Usage { turns: 3, cost_usd: 0.52, ..Usage::default() },
        cause,
        ..spec(number, SpecStatus::Running, title)
    };
    let retry = Some(ApiRetry { attempt: 7, of: 10 });
    let errors = Cause::ApiErrors { errors: 7, last: "529".into(), retry, since: NOW };
    let step = |spec, step: &str, line: &str| Running {
        spec,
        tries: Some((2, 4)),
        step: step.to_owned(),
        last_line: line.to_owned(),
    };
    vec![
        step(of(0xA1AD, "Add rate limiting to the router", None), "claude", "> Bash: cargo test -p middleware"),
        step(of(0xA1AE, "Extend endpoint 01", Some(errors)), "claude", "wrote the tests"),
        step(of(0xA1AF, "Format everything", None), "verify 1/2: cargo test --workspace", HOSTILE),
    ]
}

fn queued(page: &Query, total: u32) -> Page {
    let end = total.min(page.offset + page.limit);
    let specs = (page.offset..end).map(|n| {
        let cause = (n == 1).then(|| "waits for SA1AD".to_owned());
        SpecView {
            reason: cause,
            tasks: vec![task("t", TaskStatus::Pending, false)],
            ..spec(0x10000 + n, SpecStatus::Queued, &format!("Queued work {n}"))
        }
    });
    Page { offset: page.offset as usize, specs: specs.collect(), more: end < total, matching: page.matching.clone() }
}

fn status(total: u32) -> StatusView {
    StatusView {
        daemon: Some(DaemonView {
            pid: 7,
            since: NOW.plus_millis(-11_000_000),
            version: "1".into(),
            scoped: false,
            draining: false,
            stopping: false,
            other_pid_namespace: false,
            ends_container: false,
            log: None,
        }),
        config: ConfigView::without_daemon(ReloadOutcome::Applied, vec![]),
        slots: SlotsView { max_workers: 3, running: 3 },
        paused: false,
        landers: vec![],
        deferred: None,
        builds: BuildsView::default(),
        holds: vec![HoldView {
            agent: "codex".into(),
            reason: "the user held the agent; `boi resume codex` ends the hold".into(),
            until: None,
            cause: "by_hand".into(),
            since: None,
            evidence: String::new(),
            probe: None,
        }],
        hooks: vec![],
        paces: vec![],
        spending: SpendingView::of(vec![(
            "claude".into(),
            Usage { turns: 9, cost_usd: 41.2, unpriced_runs: 2, ..Usage::default() },
        )]),
        counts: Counts {
            queued: total.into(),
            running: 3,
            completed: 19,
            failed: 7,
            canceled: 1,
            dropped: 0,
            unmerged: 0,
        },
        specs: vec![],
        more: true,
        store: StoreView::default(),
    }
}

fn data(query: &Query, total: u32) -> Message {
    let status = status(total);
    let needs = Need::all(&status, ended());
    let next = queued(query, total);
    Message::Data(Box::new(Data { status, needs, more_needs: false, running: running(), next }))
}

/// A dashboard with 10,000 queued specs.
fn dashboard(columns: u16, rows: u16) -> Model {
    let mut model = Model::new((columns, rows), NOW);
    assert_eq!(model.update(data(&model.query().clone(), 10_000)), None);
    model
}

fn press(model: &mut Model, code: KeyCode) -> Option<Effect> {
    model.update(Message::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

/// Presses keys, one for each character.
fn keys(model: &mut Model, text: &str) -> Option<Effect> {
    text.chars().fold(None, |_, key| press(model, KeyCode::Char(key)))
}

/// Reads the page that the model asks for.
fn read(model: &mut Model) {
    let query = model.query().clone();
    model.update(data(&query, 10_000));
}

fn screen(model: &Model) -> String {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    terminal.draw(|frame| draw(model, false, frame)).unwrap();
    terminal.backend().to_string()
}

/// What the list `NEXT` has selected.
fn selected(model: &Model) -> String {
    model.selected().map(|spec| spec.title.clone()).unwrap_or_default()
}

macro_rules! screens {
    ($($name:ident: $prepare:expr;)+) => {
        $(
            #[test]
            fn $name() {
                for (columns, rows) in [(80, 24), (120, 40)] {
                    let mut model = dashboard(columns, rows);
                    let prepare: fn(&mut Model) = $prepare;
                    prepare(&mut model);
                    insta::assert_snapshot!(format!("{}_{columns}x{rows}", stringify!($name)), screen(&model));
                }
            }
        )+
    };
}

screens! {
    the_lists: |_| {};
    a_running_spec_is_selected: |model| {
        press(model, KeyCode::Tab);
        press(model, KeyCode::Down);
    };
    the_end_of_a_long_queue: |model| {
        press(model, KeyCode::BackTab);
        keys(model, "G");
        read(model);
    };
    a_filter_is_typed: |model| {
        keys(model, "/cart");
        read(model);
    };
    a_note_is_typed: |model| {
        keys(model, "jnuse the 日本 names");
    };
    a_question_is_asked: |model| {
        keys(model, "jR");
    };
    the_result_of_a_command: |model| {
        keys(model, "jm");
        let action = Action::Merge(id("S2C70"));
        model.update(Message::Done { action, line: "error: S2C70 conflicts with main".into(), success: false });
    };
    a_command_runs_and_the_daemon_is_paused: |model| {
        keys(model, "jm");
        if let Some(data) = &mut model.data {
            data.status.paused = true;
        }
    };
    the_help: |model| {
        keys(model, "?");
    };
    the_daemon_does_not_answer: |model| {
        model.update(Message::Trouble("the daemon (pid 7) has not answered for 30 s".into()));
    };
    nothing_is_there: |model| {
        let mut status = status(0);
        status.daemon = None;
        status.holds.clear();
        let next = Page::default();
        let data = Data { status, needs: vec![], more_needs: false, running: vec![], next };
        model.update(Message::Data(Box::new(data)));
    };
    nothing_was_read_yet: |model| {
        model.data = None;
    };
}

#[test]
fn a_small_terminal_shows_the_current_list() {
    let mut model = dashboard(20, 5);
    let needs = screen(&model);
    press(&mut model, KeyCode::Tab);
    let running = screen(&model);
    keys(&mut model, "?");
    insta::assert_snapshot!([needs, running, screen(&model)].join("\n"));
}

#[test]
fn every_size_is_drawn_with_no_control_character_and_no_wide_line() {
    let sizes = [0, 1, 2, 3, 4, 7, 8, 11, 12, 18, 19, 25];
    let sizes = sizes.into_iter().flat_map(|columns| sizes.map(|rows| (columns, rows)));
    for (columns, rows) in sizes.chain([(300, 100)]) {
        let mut model = dashboard(columns, rows);
        for step in ["", "\t", "\t", "/q", "\u{1b}", "?", "q", "\tjx", "n", "n"] {
            for c in step.chars() {
                let code = match c {
                    '\t' => KeyCode::Tab,
                    '\u{1b}' => KeyCode::Esc,
                    c => KeyCode::Char(c),
                };
                press(&mut model, code);
            }
            if columns == 0 || rows == 0 {
                continue;
            }
            let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
            terminal.draw(|frame| draw(&model, true, frame)).unwrap();
            let shown = terminal.backend().buffer().content().iter().map(ratatui::buffer::Cell::symbol);
            for symbol in shown {
                assert!(!symbol.chars().any(char::is_control), "{columns}x{rows}: {symbol:?}");
                assert!(text::width(symbol) <= 2, "{columns}x{rows}: {symbol:?}");
            }
        }
    }
}

#[test]
fn without_colours_the_selection_is_marked() {
    let model = dashboard(80, 24);
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    let mut colours = |colors| {
        terminal.draw(|frame| draw(&model, colors, frame)).unwrap();
        let cells = terminal.backend().buffer().content();
        cells.iter().filter(|cell| cell.fg != ratatui::style::Color::Reset).count()
    };
    assert_eq!(colours(false), 0);
    assert!(colours(true) > 0);
    assert_eq!(screen(&model).matches("\">").count(), 1);
}

#[test]
fn keys_act_on_the_selected_spec() {
    let mut model = dashboard(80, 24);
    keys(&mut model, "j");
    let spec = || id("S2C70");
    assert_eq!(press(&mut model, KeyCode::Enter), Some(Effect::Show(Show::Diff(spec()))));
    assert_eq!(keys(&mut model, "l"), Some(Effect::Show(Show::Log(spec()))));
    assert_eq!(keys(&mut model, "o"), Some(Effect::Show(Show::Open(spec()))));
    assert_eq!(keys(&mut model, "m"), Some(Effect::Run(Action::Merge(spec()))));
    assert_eq!(keys(&mut model, "xn"), None, "any key but y means no");
    assert_eq!(press(&mut model, KeyCode::Enter), Some(Effect::Show(Show::Diff(spec()))), "the question is over");
    assert_eq!(keys(&mut model, "x"), None);
    assert_eq!(press(&mut model, KeyCode::Enter), None, "Enter is no answer");
    assert_eq!(keys(&mut model, "xy"), Some(Effect::Run(Action::Drop(spec()))));
    assert_eq!(keys(&mut model, "cy"), Some(Effect::Run(Action::Cancel(spec()))));
    assert_eq!(keys(&mut model, "Ry"), Some(Effect::Run(Action::Retry(spec()))));
    assert_eq!(keys(&mut model, "Ra"), Some(Effect::Run(Action::RetryFailed)));
    assert_eq!(keys(&mut model, "p"), Some(Effect::Run(Action::Pause)));
    keys(&mut model, "n--fix q");
    assert_eq!(
        press(&mut model, KeyCode::Enter),
        Some(Effect::Run(Action::SendBack(spec(), "--fix q".to_owned()))),
        "letters of a note are no keys"
    );
    assert_eq!(Action::SendBack(spec(), "--fix q".into()).arguments(), ["retry", "S2C70", "--note=--fix q"]);
    assert_eq!(keys(&mut model, "q"), Some(Effect::Quit));
}

#[test]
fn a_command_that_runs_is_not_started_again() {
    let mut model = dashboard(80, 24);
    let merge = Action::Merge(id("S2C70"));
    assert_eq!(keys(&mut model, "jm"), Some(Effect::Run(merge.clone())));
    assert_eq!(keys(&mut model, "m"), None);
    assert!(screen(&model).contains("boi merge S2C70 runs already"));
    model.update(Message::Done { action: merge.clone(), line: String::new(), success: true });
    assert!(screen(&model).contains("boi merge S2C70: done"));
    assert_eq!(keys(&mut model, "m"), Some(Effect::Run(merge)));
}

#[test]
fn control_keys_work_while_the_user_types() {
    for (key, effect) in [('c', Effect::Interrupt), ('z', Effect::Suspend), ('l', Effect::Redraw)] {
        let mut model = dashboard(80, 24);
        keys(&mut model, "jn");
        let pressed = KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL);
        assert_eq!(model.update(Message::Key(pressed)), Some(effect));
    }
}

#[test]
fn a_hold_is_no_spec() {
    let mut model = dashboard(80, 24);
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    assert!(screen(&model).contains("no spec is selected"));
}

#[test]
fn an_empty_note_sends_nothing_and_a_pasted_one_is_one_line() {
    let mut model = dashboard(80, 24);
    keys(&mut model, "jn ");
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    keys(&mut model, "n");
    model.update(Message::Paste("one\r\ntwo\u{1b}[31m".into()));
    let sent = press(&mut model, KeyCode::Enter);
    assert_eq!(sent, Some(Effect::Run(Action::SendBack(id("S2C70"), "one two".into()))));
}

#[test]
fn a_long_queue_is_read_in_pages() {
    let mut model = dashboard(80, 24);
    press(&mut model, KeyCode::BackTab);
    keys(&mut model, "G");
    assert_eq!(selected(&model), "", "the page was not read yet");
    let query = model.query().clone();
    assert_eq!((query.offset, query.limit), (9_949, 100));
    read(&mut model);
    assert_eq!(selected(&model), "Queued work 9999");
    for _ in 0..150 {
        keys(&mut model, "k");
        read(&mut model);
    }
    assert_eq!(selected(&model), "Queued work 9849");
    assert!(model.query().offset < 9_849, "{:?}", model.query());
    keys(&mut model, "g");
    read(&mut model);
    assert_eq!(selected(&model), "Queued work 0");
    press(&mut model, KeyCode::PageDown);
    assert_eq!(selected(&model), "Queued work 5");
    assert_eq!(model.query().offset, 0);
}

#[test]
fn the_filter_is_sent_to_the_queue_and_chooses_the_other_items() {
    let mut model = dashboard(80, 24);
    keys(&mut model, "/RATE lim");
    assert_eq!(model.query().matching, "RATE lim");
    let shown = screen(&model);
    assert!(shown.contains("Add rate limiting") && !shown.contains("Extend endpoint"), "{shown}");
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.query().matching, "RATE lim");
    press(&mut model, KeyCode::Esc);
    assert_eq!(model.query().matching, "");
}

#[test]
fn the_selection_follows_its_spec() {
    let mut model = dashboard(80, 24);
    keys(&mut model, "jjj");
    assert_eq!(model.selected().unwrap().id, id("SFFC1"));
    let Message::Data(mut changed) = data(&model.query().clone(), 10_000) else { unreachable!() };
    changed.needs.remove(0);
    model.update(Message::Data(changed.clone()));
    assert_eq!(model.selected().unwrap().id, id("SFFC1"));
    changed.needs.retain(|need| need.name != "SFFC1");
    model.update(Message::Data(changed));
    assert_eq!(model.selected().unwrap().id, id("SBBF5"), "the spec that took its place");
}

#[test]
fn specs_that_need_nobody_are_left_out() {
    let kinds: Vec<_> = Need::all(&status(0), ended()).iter().map(|need| (need.name.clone(), need.kind)).collect();
    let expected =
        [("codex", "held"), ("S2C70", "unmerged"), ("SB10C", "blocked"), ("SFFC1", "failed"), ("SBBF5", "no changes")];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind)));
}
