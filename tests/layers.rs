//! Checks `src/` against the table of rooms in `src/lib.rs`: a file uses only rooms above its own, only `queue` contains
//! SQL, and every file begins with `//!`. `clippy.toml` limits which rooms start processes, read the environment and exit.
//!
//! The check is textual. Paths are looked up outside comments and string literals, SQL inside string literals. In
//! `#[cfg(test)]` modules only paths are checked. It finds mistakes; it does not withstand somebody who hides a path.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines that a file may have.
const MAX_LINES: usize = 600;

#[test]
fn files_of_src_keep_to_the_rules() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = rooms(&fs::read_to_string(src.join("lib.rs")).expect("src/lib.rs"));
    assert!(rooms.len() > 5 && rooms[0] == "domain", "no layer table in src/lib.rs: {rooms:?}");
    let mut report = String::new();
    // The build script is not part of the program.
    for file in rust_files(&src).into_iter().filter(|file| *file != src.join("build.rs")) {
        let text = fs::read_to_string(&file).expect("a source file");
        let path = file.strip_prefix(&src).expect("below src").to_str().expect("UTF-8").replace('\\', "/");
        for violation in violations(&rooms, &path, &text) {
            writeln!(report, "src/{path}:{violation}").expect("writing to a string succeeds");
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

/// The rooms in the order of the table, whose lines begin with ``//! | `domain` |``.
fn rooms(lib: &str) -> Vec<String> {
    let cells = lib.lines().filter_map(|line| line.strip_prefix("//! | `")?.split_once("` |"));
    cells.map(|(room, _)| room.to_owned()).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The violations in the file at `path` (below `src/`), each as `LINE: message`.
fn violations(rooms: &[String], path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{lines}: more than {MAX_LINES} lines: split it"));
    }
    if !text.starts_with("//!") {
        found.push("1: does not begin with `//!`".to_owned());
    }
    let source = Source::new(text);
    found.extend(paths_to_rooms_below(rooms, path, &source));
    let shipped = source.without_tests();
    // Tests outside of `queue` may prepare a database with SQL.
    let is_test = path.contains("/tests/") || path.ends_with("/tests.rs");
    if !is_test && !path.starts_with("queue") {
        found.extend(shipped.code_with("rusqlite", "uses rusqlite, which only `queue` may"));
        found.extend(shipped.strings_with_sql());
    }
    found
}

/// Paths from `crate::` or a chain of `super::` to a room below the file's own in the table.
fn paths_to_rooms_below(rooms: &[String], path: &str, source: &Source) -> Vec<String> {
    let rank = |room: &str| rooms.iter().position(|known| known == room);
    let folders: Vec<&str> = path.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
    let Some(own) = folders.first().and_then(|room| rank(room)) else { return Vec::new() };
    let mut found = Vec::new();
    let mut check = |at: usize, names: Vec<String>| {
        for name in names {
            if rank(&name).is_some_and(|room| room > own) {
                let (line, own) = (source.line_of(at), &rooms[own]);
                found.push(format!("{line}: `{own}` uses `{name}`, which is below it in the layer table"));
            }
        }
    };
    let code = &source.code;
    for (at, _) in code.match_indices("crate::") {
        if !code[..at].ends_with(is_word) {
            check(at, first_segments(&code[at + "crate::".len()..]));
        }
    }
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("super::") || code[..at].ends_with(is_word) {
            continue;
        }
        let chain = &code[at..];
        let rest = chain.trim_start_matches("super::");
        let climbed = (chain.len() - rest.len()) / "super::".len();
        // Inside an inline module, such as `tests`, the chain needs one `super` more to get there.
        if climbed >= folders.len() {
            check(at, first_segments(rest));
        }
    }
    found
}

/// The first name of each path in what follows `crate::`: one path, or a `{...}` group of them.
fn first_segments(text: &str) -> Vec<String> {
    let Some(group) = text.strip_prefix('{') else { return vec![text.chars().take_while(|c| is_word(*c)).collect()] };
    let (mut names, mut depth, mut start) = (Vec::new(), 0, true);
    let mut name = String::new();
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(std::mem::take(&mut name));
                start = true;
                continue;
            }
            _ => {}
        }
        if depth == 0 && start && is_word(c) {
            name.push(c);
        } else if !name.is_empty() {
            start = false;
        }
    }
    names.push(name);
    names
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The text of a file, separated. Blanks replace the other part, so offsets are those in the file.
struct Source {
    /// The code without comments and literals.
    code: String,
    /// The literals without code and comments.
    strings: String,
}

impl Source {
    fn new(text: &str) -> Source {
        let bytes = text.as_bytes();
        let mut kinds = vec![Kind::Code; bytes.len()];
        let mut at = 0;
        while at < bytes.len() {
            let (kind, length) = token(&bytes[at..], at.checked_sub(1).map(|before| bytes[before]));
            kinds[at..at + length].fill(kind);
            at += length;
        }
        let only = |wanted: Kind| {
            let blanked = bytes.iter().zip(&kinds).map(|(byte, kind)| match byte {
                b'\n' => b'\n',
                byte if *kind == wanted => *byte,
                _ => b' ',
            });
            String::from_utf8(blanked.collect()).expect("whole tokens are whole characters")
        };
        Source { code: only(Kind::Code), strings: only(Kind::Text) }
    }

    /// A copy in which blocks in braces after `#[cfg(test)]` are blanked.
    fn without_tests(&self) -> Source {
        let (mut code, mut strings) = (self.code.clone().into_bytes(), self.strings.clone().into_bytes());
        for (at, _) in self.code.match_indices("#[cfg(test)]") {
            let after = &self.code[at..];
            let Some(open) = after.find(['{', ';']).filter(|open| after.as_bytes()[*open] == b'{') else { continue };
            let mut depth = 0;
            let close = after.bytes().enumerate().skip(open).find(|(_, byte)| {
                match byte {
                    b'{' => depth += 1,
                    b'}' => depth -= 1,
                    _ => {}
                }
                depth == 0
            });
            let end = at + close.map_or(after.len(), |(close, _)| close + 1);
            for text in [&mut code, &mut strings] {
                text[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
            }
        }
        let text = |bytes| String::from_utf8(bytes).expect("whole blocks are whole characters");
        Source { code: text(code), strings: text(strings) }
    }

    fn line_of(&self, at: usize) -> usize {
        1 + self.code[..at].matches('\n').count()
    }

    fn code_with(&self, needle: &str, what: &str) -> Vec<String> {
        let whole =
            |at: usize| !self.code[..at].ends_with(is_word) && !self.code[at + needle.len()..].starts_with(is_word);
        let hits = self.code.match_indices(needle).filter(|(at, _)| whole(*at));
        hits.map(|(at, _)| format!("{}: {what}", self.line_of(at))).collect()
    }

    fn strings_with_sql(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (number, line) in self.strings.lines().enumerate() {
            let after = |verb: &str, then: &str| line.split_once(verb).is_some_and(|(_, rest)| rest.contains(then));
            if line.contains("SELECT ")
                || after("INSERT ", "INTO ")
                || after("UPDATE ", " SET ")
                || after("DELETE ", "FROM ")
            {
                found.push(format!("{}: SQL, which only `queue` may contain", number + 1));
            }
        }
        found
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Text,
}

/// The kind and the length of the token at the beginning of `rest`, which follows the byte `before`. Code is split into
/// single bytes.
fn token(rest: &[u8], before: Option<u8>) -> (Kind, usize) {
    let until = |end: &[u8], from: usize| {
        let found = rest.get(from..).and_then(|tail| tail.windows(end.len()).position(|window| window == end));
        found.map_or(rest.len(), |at| from + at + end.len())
    };
    let in_word = before.is_some_and(|byte| is_word(char::from(byte)));
    match rest {
        [b'/', b'/', ..] => (Kind::Comment, until(b"\n", 2)),
        [b'/', b'*', ..] => (Kind::Comment, until(b"*/", 2)),
        [b'r', b'"' | b'#', ..] if !in_word || before == Some(b'b') => {
            let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return (Kind::Code, 1);
            }
            let end = [b"\"".as_slice(), &vec![b'#'; hashes]].concat();
            (Kind::Text, until(&end, hashes + 2))
        }
        [b'"', ..] => {
            let mut at = 1;
            while at < rest.len() && rest[at] != b'"' {
                at += if rest[at] == b'\\' { 2 } else { 1 };
            }
            (Kind::Text, (at + 1).min(rest.len()))
        }
        // Character literals, which may contain a quote; a lifetime has no closing quote.
        [b'\'', b'\\', _, ..] => (Kind::Text, until(b"'", 3)),
        [b'\'', _, b'\'', ..] => (Kind::Text, 3),
        _ => (Kind::Code, 1),
    }
}

#[cfg(test)]
mod self_tests {
    use super::*;

    const TABLE: &str = "//! | room | what it is for |\n//! | --- | --- |\n//! | `domain` | nouns |\n//! | `decide` | \
                         verbs |\n//! | `process` | hands |\n//! | `daemon` | loop |\n";

    fn found(path: &str, code: &str) -> Vec<String> {
        violations(&rooms(TABLE), path, &format!("//! An example.\n{code}\n"))
    }

    #[track_caller]
    fn assert_reported(path: &str, code: &str, what: &str) {
        let found = found(path, code);
        assert!(found.len() == 1 && found[0].contains(what), "{path}: {code:?}: {found:?}");
    }

    #[track_caller]
    fn assert_accepted(path: &str, code: &str) {
        assert_eq!(found(path, code), Vec::<String>::new(), "{path}: {code:?}");
    }

    #[test]
    fn rooms_are_in_the_order_of_the_table() {
        assert_eq!(rooms(TABLE), ["domain", "decide", "process", "daemon"]);
    }

    #[test]
    fn paths_to_rooms_below_are_reported() {
        let reported = "`decide` uses `process`";
        assert_reported("decide/tick.rs", "use crate::process::tree;", reported);
        assert_reported("decide/mod.rs", "fn f() { crate::process::f() }", reported);
        assert_reported("decide.rs", "use crate::{domain::id, process::{tree, cgroup}};", reported);
        assert_reported("decide/tick.rs", "use crate::{\n    domain,\n    process,\n};", reported);
        assert_reported("decide/tick.rs", "use super::super::process;", reported);
        assert_reported("decide/agent/mod.rs", "use super::super::process::x;", reported);
        assert_reported("decide/mod.rs", "use super::process;", reported);
        assert_reported("decide/tick.rs", "#[cfg(test)]\nmod tests { use crate::process::x; }", reported);
        assert_reported("domain/id.rs", "use crate::decide;", "2: `domain` uses `decide`");
    }

    #[test]
    fn paths_to_rooms_above_are_accepted() {
        assert_accepted("process/tree/mod.rs", "use crate::{decide::{process, daemon}, domain};\nuse super::daemon;");
        assert_accepted(
            "decide/tick.rs",
            "use super::process_names; // use crate::process\nconst S: &str = \"crate::process\";",
        );
        assert_accepted("decide/tick.rs", "use other_crate::process;");
        assert_accepted("main.rs", "use boi::cli; use crate::daemon;");
    }

    #[test]
    fn sql_outside_the_queue_is_reported() {
        assert_reported("daemon/x.rs", "use rusqlite::Connection;", "rusqlite");
        for sql in ["SELECT id FROM t", "INSERT INTO t VALUES (1)", "UPDATE t SET a = 1", "DELETE FROM t"] {
            assert_reported("daemon/x.rs", &format!("let q = \"{sql}\";"), "SQL");
            assert_reported("daemon/x.rs", &format!("let q = r#\"{sql}\"#;"), "SQL");
            assert_accepted("queue/sqlite/claim.rs", &format!("use rusqlite::Connection; let q = \"{sql}\";"));
        }
    }

    #[test]
    fn sql_in_tests_and_in_comments_is_accepted() {
        assert_accepted("daemon/x.rs", "// SELECT it\n/* rusqlite */ let a = 'x'; let b: &'static str = \"'\";");
        assert_accepted("daemon/x.rs", "#[cfg(test)]\nmod tests {\n    fn f() { \"SELECT a b\"; }\n}");
        assert_reported("daemon/x.rs", "#[cfg(test)]\nmod tests {}\nfn f() { \"SELECT a b\"; }", "4: SQL");
    }

    #[test]
    fn long_files_and_files_without_a_comment_are_reported() {
        assert!(violations(&rooms(TABLE), "domain/x.rs", "struct X;\n")[0].contains("does not begin with"));
        assert_reported("domain/x.rs", &"\n".repeat(MAX_LINES), "more than 600 lines");
    }
}
