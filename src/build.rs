//! Links the program to a fixed address on Linux: `docs/decisions/0018-a-fixed-address.md`.

#![expect(clippy::disallowed_methods, reason = "Cargo passes the target in the environment")]

fn main() {
    println!("cargo::rerun-if-changed=src/build.rs");
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
