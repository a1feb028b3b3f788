//! The program's entry point: runs a supervisor or the command line. The process exits only here.

use std::process::ExitCode;

fn main() -> ExitCode {
    boi::process::dispositions::prepare();
    // A supervisor starts neither the async runtime nor the argument parser: each running command has a
    // supervisor, so a supervisor must use little memory.
    if boi::supervisor::is_forker(std::env::args_os()) {
        return boi::supervisor::serve_forks();
    }
    match boi::supervisor::parse_arguments(std::env::args_os()) {
        Some(dir) => boi::supervisor::main(&dir),
        None => {
            if let Some(answered) = boi::reload::answer_look(std::env::args_os()) {
                return answered;
            }
            boi::process::inherited::close_on_exec();
            ExitCode::from(boi::cli::main(std::env::args_os()))
        }
    }
}
