//! The program: a supervisor or the command line. The only place where the process exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before the runtime and the argument parser start: each running command has a supervisor, which must be small.
    match boi::supervisor::parse_arguments(std::env::args_os()) {
        Some(dir) => boi::supervisor::main(&dir),
        None => {
            boi::process::inherited::close_on_exec();
            ExitCode::from(boi::cli::main(std::env::args_os()))
        }
    }
}
