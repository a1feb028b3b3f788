//! The program's entry point: runs a supervisor or the command line. The process exits only here.

use std::process::ExitCode;

fn main() -> ExitCode {
    // This check comes before the runtime and the argument parser, because a supervisor must stay small: each running
    // command has one.
    match boi::supervisor::parse_arguments(std::env::args_os()) {
        Some(dir) => boi::supervisor::main(&dir),
        None => {
            boi::process::inherited::close_on_exec();
            ExitCode::from(boi::cli::main(std::env::args_os()))
        }
    }
}
