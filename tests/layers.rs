//! Holds `src/` to the layer table in `src/lib.rs`: a file uses only rooms above its own, each outside thing is touched
//! in one room, and every file says what it is for.
//!
//! The check reads text, not meaning: it looks at code outside comments and string literals (SQL: inside them), and
//! leaves `#[cfg(test)]` modules alone except for their paths. It finds what people write, not what they could hide.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// Files longer than this have more than one thing in them.
const LONGEST_FILE: usize = 600;

#[test]
fn src_keeps_to_its_layers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = rooms(&fs::read_to_string(src.join("lib.rs")).expect("src/lib.rs"));
    assert!(rooms.len() > 5 && rooms[0] == "domain", "no layer table in src/lib.rs: {rooms:?}");
    let mut report = String::new();
    // The build script is no part of the program.
    for file in rust_files(&src).into_iter().filter(|file| *file != src.join("build.rs")) {
        let text = fs::read_to_string(&file).expect("a source file");
        let path = file.strip_prefix(&src).expect("below src").to_str().expect("UTF-8").replace('\\', "/");
        for violation in violations(&rooms, &path, &text) {
            writeln!(report, "src/{path}:{violation}").expect("strings take text");
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

/// The rooms in the order of the table: `//! | `domain` | ... |`.
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

/// What is wrong with the file at `path` (below `src/`), each as `LINE: what`.
fn violations(rooms: &[String], path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > LONGEST_FILE {
        found.push(format!("{lines}: more than {LONGEST_FILE} lines: split it"));
    }
    if !text.starts_with("//!") {
        found.push("1: does not begin with `//!`".to_owned());
    }
    let source = Source::new(text);
    found.extend(upward_paths(rooms, path, &source));
    let shipped = source.without_tests();
    // Files of tests alone may set their scene.
    let of_tests = path.contains("/tests/") || path.ends_with("/tests.rs");
    let within = |places: &[&str]| of_tests || places.iter().any(|place| path.starts_with(place));
    if !within(&["process", "git", "supervisor", "system/clock"]) {
        found.extend(shipped.code_with("Command::new", "starts a process: only process, git and supervisor do"));
    }
    if !within(&["system/paths"]) {
        for call in ["env::var", "env::var_os", "env::vars", "env::vars_os", "env::home_dir"] {
            found.extend(shipped.code_with(call, "reads the environment: only system/paths.rs does"));
        }
    }
    if path != "main.rs" {
        found.extend(shipped.code_with("process::exit", "ends the process: only main.rs does"));
    }
    if !within(&["queue"]) {
        found.extend(shipped.code_with("rusqlite", "uses rusqlite: only queue does"));
        found.extend(shipped.strings_with_sql());
    }
    found
}

/// Paths of `crate::ROOM` and of `super` chains that lead to a room below the file's own in the table.
fn upward_paths(rooms: &[String], path: &str, source: &Source) -> Vec<String> {
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
        // An inline module, such as `tests`, is one more to climb out of.
        if climbed >= folders.len() {
            check(at, first_segments(rest));
        }
    }
    found
}

/// The first names of what follows `crate::`: one, or those of a `{...}` group.
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

/// A file's text, apart: code with comments and literals blanked, and string literals with code blanked. Both keep the
/// places of their bytes.
struct Source {
    code: String,
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

    /// Without what follows `#[cfg(test)]` as a block in braces.
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
                found.push(format!("{}: SQL: only queue has it", number + 1));
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

/// The kind and the length of the token that `rest` begins with. What is not a comment or a literal is taken byte by
/// byte.
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
        // Characters that could be taken for the beginning of something; lifetimes have no closing quote.
        [b'\'', b'\\', _, ..] => (Kind::Text, until(b"'", 3)),
        [b'\'', _, b'\'', ..] => (Kind::Text, 3),
        _ => (Kind::Code, 1),
    }
}

#[cfg(test)]
mod planted {
    use super::*;

    const TABLE: &str = "//! | room | what it is for |\n//! | --- | --- |\n//! | `domain` | nouns |\n//! | `decide` | \
                         verbs |\n//! | `host` | hands |\n//! | `daemon` | loop |\n";

    fn found(path: &str, code: &str) -> Vec<String> {
        violations(&rooms(TABLE), path, &format!("//! Planted.\n{code}\n"))
    }

    #[track_caller]
    fn caught(path: &str, code: &str, what: &str) {
        let found = found(path, code);
        assert!(found.len() == 1 && found[0].contains(what), "{path}: {code:?}: {found:?}");
    }

    #[track_caller]
    fn fine(path: &str, code: &str) {
        assert_eq!(found(path, code), Vec::<String>::new(), "{path}: {code:?}");
    }

    #[test]
    fn the_table_is_the_order() {
        assert_eq!(rooms(TABLE), ["domain", "decide", "host", "daemon"]);
    }

    #[test]
    fn upward_paths_are_caught() {
        let upward = "`decide` uses `host`";
        caught("decide/tick.rs", "use crate::host::store;", upward);
        caught("decide/mod.rs", "fn f() { crate::host::f() }", upward);
        caught("decide.rs", "use crate::{domain::id, host::{store, paths}};", upward);
        caught("decide/tick.rs", "use crate::{\n    domain,\n    host,\n};", upward);
        caught("decide/tick.rs", "use super::super::host;", upward);
        caught("decide/agent/mod.rs", "use super::super::host::x;", upward);
        caught("decide/mod.rs", "use super::host;", upward);
        caught("decide/tick.rs", "#[cfg(test)]\nmod tests { use crate::host::x; }", upward);
        caught("domain/id.rs", "use crate::decide;", "2: `domain` uses `decide`");
    }

    #[test]
    fn downward_paths_are_fine() {
        fine("host/store/mod.rs", "use crate::{decide::{host, daemon}, domain};\nuse super::process;");
        fine("decide/tick.rs", "use super::host_names; // use crate::host\nconst S: &str = \"crate::host\";");
        fine("decide/tick.rs", "use other_crate::host;");
        fine("main.rs", "use boi::cli; use crate::daemon;");
    }

    #[test]
    fn outside_things_are_caught_outside_their_rooms() {
        caught("daemon/x.rs", "let c = std::process::Command::new(\"git\");", "starts a process");
        caught("daemon/x.rs", "let c = tokio::process::Command::new(\"git\");", "starts a process");
        caught("daemon/x.rs", "let v = std::env::var(\"HOME\");", "reads the environment");
        caught("daemon/x.rs", "std::process::exit(1)", "ends the process");
        caught("daemon/x.rs", "use std::process::exit;", "ends the process");
        caught("daemon/x.rs", "use std::env::var;", "reads the environment");
        fine("daemon/x.rs", "use std::process::{ExitCode, Stdio}; let a = std::env::args();");
        caught("daemon/x.rs", "use rusqlite::Connection;", "rusqlite");
        for sql in ["SELECT id FROM t", "INSERT INTO t VALUES (1)", "UPDATE t SET a = 1", "DELETE FROM t"] {
            caught("daemon/x.rs", &format!("let q = \"{sql}\";"), "SQL");
            caught("daemon/x.rs", &format!("let q = r#\"{sql}\"#;"), "SQL");
            fine("queue/sqlite/claim.rs", &format!("use rusqlite::Connection; let q = \"{sql}\";"));
        }
    }

    #[test]
    fn outside_things_are_fine_in_their_rooms_in_tests_and_in_prose() {
        fine("process/start.rs", "Command::new(\"sh\")");
        fine("git/program.rs", "Command::new(\"git\")");
        fine("supervisor/mod.rs", "Command::new(\"sh\")");
        fine("system/paths.rs", "std::env::var_os(\"BOI_HOME\")");
        fine("main.rs", "std::process::exit(1)");
        fine("daemon/x.rs", "// SELECT it, Command::new( it\n/* rusqlite */ let a = 'x'; let b: &'static str = \"'\";");
        fine("daemon/x.rs", "#[cfg(test)]\nmod tests {\n    fn f() { Command::new(\"sh\"); \"SELECT a b\"; }\n}");
        caught("daemon/x.rs", "#[cfg(test)]\nmod tests {}\nfn f() { Command::new(\"sh\"); }", "4: starts a process");
    }

    #[test]
    fn long_and_silent_files_are_caught() {
        assert!(violations(&rooms(TABLE), "domain/x.rs", "struct X;\n")[0].contains("does not begin with"));
        caught("domain/x.rs", &"\n".repeat(LONGEST_FILE), "more than 600 lines");
    }
}
