//! `fetch-token exec USERNAME -- CMD`: run a program with the stored token in its environment.

use std::process::Command;

use secrecy::ExposeSecret as _;

use super::{Exit, Failure, House, get};
use crate::cli::ExecArgs;

pub(super) async fn exec(house: &House, args: ExecArgs) -> Result<Exit, Failure> {
    let (_, token) = get::stored(house, &args.username).await?;
    let mut program = Command::new(&args.command[0]);
    program
        .args(&args.command[1..])
        .env(&args.env, token.expose_secret());
    run(program).map_err(|error| {
        Failure::new(
            Exit::not_started(&error),
            format!(
                "{} cannot be started ({error}). Check the command after --",
                args.command[0].display()
            ),
        )
    })
}

/// Becomes the program, which then gets our signals and gives our status.
#[cfg(unix)]
fn run(mut program: Command) -> std::io::Result<Exit> {
    Err(std::os::unix::process::CommandExt::exec(&mut program))
}

/// Runs the program to its end where no process can become another.
#[cfg(not(unix))]
fn run(mut program: Command) -> std::io::Result<Exit> {
    let status = program.status()?;
    Ok(status.code().map_or(Exit::Unexpected, Exit::Tool))
}
