//! `boi report`, `boi status ID` and `boi log` after specs have ended: what needs the user, and what to do next.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use super::support::{Sandbox, skip, wait_for};

/// A title that does harm if it is not escaped.
const HOSTILE: &str = "<script>document.title = 'run'</script>";

/// A sandbox in which specs have ended in each way, and a daemon runs.
struct Night {
    sandbox: Sandbox,
    ids: [String; 8],
}

impl Night {
    fn new() -> Night {
        let mut sandbox = Sandbox::new(
            "retry_count = 0\nretry_backoff_seconds = [0, 0]\nspawn_jitter_ms = [0, 0]\ntick_interval_ms = 50",
        );
        sandbox.start_daemon();
        let spec = |title: &str, more: &str, task: &str| {
            sandbox.dispatch(&format!("title = \"{title}\"\nrepo = 'repo'\n{more}\n[[tasks]]\n{task}"))
        };
        let small = spec(HOSTILE, "", "prompt = '@@sh echo two >> a.txt; echo 2 >> a.txt@@'");
        let large = spec("Large", "", "prompt = '@@sh seq 1 30000 > big.txt; echo three >> a.txt@@'");
        let asks = spec(
            "Choose",
            "",
            "prompt = '@@say I looked.\n\nPostgres or SQLite?@@'".replace('\n', "\\n").replace('\'', "\"").as_str(),
        );
        let fails = "prompt = '@@write cart.py x@@'\nverify = ['''echo first line\necho \"AssertionError: slow (1)\" >&2\nexit 1''']";
        let failed = spec("Cart 1", "", fails);
        let same = spec("Cart 2", "", &fails.replace("(1)", "(27)"));
        let stopped = spec("Waits", &format!("after = ['{failed}']"), "run = 'true'");
        let merged = spec("Merged", "deliver = 'merge'", "run = 'echo m > m.txt'");
        let on = spec("On the large one", &format!("base = '{large}'"), "prompt = '@@write more.py z@@'");
        let ids = [small, large, asks, failed, same, stopped, merged, on];
        let wait: Vec<&str> = ["wait"].into_iter().chain(ids.iter().map(String::as_str)).collect();
        assert_eq!(sandbox.boi(&wait).code, Some(1), "some of them failed");
        Night { sandbox, ids }
    }
}

fn strings<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().expect("a list").iter().map(|item| item[field].as_str().expect("a text")).collect()
}

#[test]
fn a_report_says_what_needs_the_user_and_what_to_review() {
    let Night { mut sandbox, ids: [small, large, asks, failed, same, stopped, merged, on] } = Night::new();
    let with_daemon = sandbox.good(&["report", "--json"]).json();
    let totals = &with_daemon["totals"];
    let count = |name: &str| totals[name].as_u64().unwrap_or_else(|| panic!("{name}: {totals:#}"));
    assert_eq!((count("specs"), count("failed"), count("causes"), count("merged")), (8, 3, 1, 1), "{with_daemon:#}");
    assert_eq!((count("to_review"), count("unchanged"), count("unmerged")), (3, 1, 0), "{with_daemon:#}");
    assert_eq!((totals["bases"][0]["base"].as_str(), totals["bases"][0]["commits"].as_u64()), (Some("main"), Some(1)));
    assert!(totals["usage"]["cost_usd"].as_f64().is_some_and(|cost| cost > 0.0), "{totals:#}");

    let needs = with_daemon["needs_you"].as_array().unwrap();
    let [group, nothing] = needs.as_slice() else { panic!("{needs:#?}") };
    assert_eq!((group["kind"].as_str(), group["stops"][0].as_str()), (Some("failed"), Some(&*stopped)));
    assert_eq!(strings(&group["specs"], "id").len(), 2);
    assert!(strings(&group["specs"], "id").iter().all(|id| [&*failed, &*same].contains(id)), "{group:#}");
    assert!(group["output"].as_str().unwrap().starts_with("AssertionError: slow ("), "{group:#}");
    assert_eq!((nothing["kind"].as_str(), nothing["asks"].as_bool()), (Some("no_changes"), Some(true)));
    assert_eq!(nothing["spec"]["id"].as_str(), Some(&*asks));
    assert!(nothing["message"].as_str().unwrap().ends_with("Postgres or SQLite?"), "{nothing:#}");

    let review = &with_daemon["to_review"];
    assert_eq!(strings(review, "id"), [&*on, &*small, &*large].map(|id| id), "the smallest is first: {review:#}");
    assert_eq!(review[2]["diff"]["added"].as_u64(), Some(30_001), "{review:#}");
    assert_eq!(review[0]["on"].as_str(), Some(&*large));
    let overlap = &review[1]["overlaps"][0];
    assert_eq!((overlap["id"].as_str(), overlap["files"][0].as_str()), (Some(&*large), Some("a.txt")), "{review:#}");
    assert_eq!(strings(&with_daemon["merged"], "id"), [&*merged]);

    sandbox.stop_daemon(Signal::INT);
    let without = sandbox.good(&["report", "--json"]).json();
    for list in ["needs_you", "to_review", "merged", "totals"] {
        assert_eq!(without[list], with_daemon[list], "{list}");
    }
    let none = sandbox.good(&["report", "--since", "0s", "--json"]).json();
    assert_eq!((none["totals"]["specs"].as_u64(), none["older_to_review"].as_u64()), (Some(0), Some(3)), "{none:#}");
    let text = sandbox.good(&["report"]).out;
    for part in ["NEEDS YOU", "TO REVIEW", &format!("also stops {stopped}"), &format!("> boi retry {asks} --note TEXT")]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(sandbox.good(&["report", "--markdown"]).out.contains("## To review"));
    assert_eq!(sandbox.boi(&["report", "--since", "tomorrow"]).code, Some(2));

    // What stands at the end of `boi status ID` and of `boi log`.
    let status = |id: &str| sandbox.good(&["status", id]).out;
    assert!(status(&small).contains("1 commit, 1 file, +2 -0\n"), "{}", status(&small));
    assert!(status(&small).ends_with(&format!("  drop      boi drop {small}\n")), "{}", status(&small));
    assert!(status(&asks).contains("completed, NO CHANGES") && status(&asks).contains("Postgres or SQLite?"));
    let log = sandbox.good(&["log", &failed]).out;
    let end = log.split_once("verify:\n").unwrap_or_else(|| panic!("{log}")).1;
    let command = "     echo first line\n     echo \"AssertionError: slow (1)\" >&2\n     exit 1\n";
    assert!(end.starts_with(&format!("{command}first line\nAssertionError: slow (1)\n== exit code 1 after ")), "{log}");
    assert!(end.contains(&format!("\n== {failed} failed: task t-1: ")), "{log}");
    assert!(sandbox.good(&["log", &asks]).out.contains("\nI looked.\n\nPostgres or SQLite?\n"));

    let file = sandbox.path("report.html");
    sandbox.write("report.html", "old");
    sandbox.good(&["report", "--html", file.to_str().unwrap()]);
    let page = fs::read_to_string(&file).unwrap();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    assert!(page.contains(&format!("boi diff {large}")) && page.len() < 200_000, "{}", page.len());
    look_at(&sandbox, &file);
}

#[test]
fn agents_that_report_the_same_failure_are_one_group_without_their_json() {
    let sandbox = Sandbox::new("retry_count = 0");
    for title in ["First", "Second"] {
        let (code, spec) =
            sandbox.run(&format!("title = '{title}'\nrepo = 'repo'\n[[tasks]]\nprompt = '@@max-turns@@'"));
        assert_eq!(code, Some(1), "{spec:#}");
    }
    let report = sandbox.good(&["report", "--json"]).json();
    let groups: Vec<_> =
        report["needs_you"].as_array().unwrap().iter().filter(|need| need["kind"] == "failed").collect();
    assert_eq!(groups.len(), 1, "{report:#}");
    assert_eq!(strings(&groups[0]["specs"], "id").len(), 2, "{report:#}");
    assert!(groups[0]["output"].is_null(), "{report:#}");
}

/// Opens the page in a real browser, on a phone's screen, light and dark. With `BOI_TEST_SCREENSHOTS=FOLDER`, also on a
/// desktop's screen, and the screenshots stay in that folder.
fn look_at(sandbox: &Sandbox, page: &Path) {
    let Some(browser) = browser() else {
        skip("chromium is not installed, so the page was not opened in a browser");
        return;
    };
    let dom = sandbox.path("dom.html");
    let out = fs::File::create(&dom).unwrap();
    open_page(&browser, &sandbox.path("profile"), &["--dump-dom".to_owned()], page, out.into());
    let dom = fs::read_to_string(dom).unwrap();
    assert!(dom.contains("<title>boi report, ") && !dom.contains("<script"), "{dom}");
    let kept = std::env::var_os("BOI_TEST_SCREENSHOTS").map(PathBuf::from);
    let folder = kept.clone().unwrap_or_else(|| sandbox.path("screenshots"));
    fs::create_dir_all(&folder).unwrap();
    let sizes: &[&str] = if kept.is_some() { &["390,844", "1280,900"] } else { &["390,844"] };
    for size in sizes {
        let images = [false, true].map(|dark| {
            let name = format!("{}-{}.png", size.replace(',', "x"), if dark { "dark" } else { "light" });
            let shot = folder.join(name);
            let mut arguments = vec![format!("--window-size={size}"), format!("--screenshot={}", shot.display())];
            arguments.extend(dark.then(|| "--force-dark-mode".to_owned()));
            open_page(&browser, &sandbox.path("profile"), &arguments, page, Stdio::null());
            fs::read(&shot).unwrap_or_else(|error| panic!("{}: {error}", shot.display()))
        });
        assert!(images.iter().all(|image| image.starts_with(b"\x89PNG") && image.len() > 10_000));
        assert!(images[0] != images[1], "the dark page looks like the light one");
    }
}

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
}

/// Opens a page in a browser, which then ends.
#[track_caller]
fn open_page(program: &Path, profile: &Path, arguments: &[String], page: &Path, out: Stdio) {
    let mut command = Command::new(program);
    // One process starts faster than several.
    command.args(["--headless", "--no-sandbox", "--single-process", "--no-zygote", "--disable-gpu"]);
    command.args(["--hide-scrollbars", "--disable-breakpad", "--no-first-run", "--disable-background-networking"]);
    command.arg(format!("--user-data-dir={}", profile.display())).args(arguments);
    command.arg(format!("file://{}", page.display()));
    let child = command.stdin(Stdio::null()).stdout(out).stderr(Stdio::null()).spawn();
    let mut browser = Browser(child.expect("the browser starts"));
    let status = wait_for("the end of the browser", || browser.0.try_wait().expect("a child"));
    assert!(status.success(), "{status}");
}

/// A browser. Dropping it kills it.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
