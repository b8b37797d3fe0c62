//! Takes a new Salesforce security token from the mailbox it is sent to into the OS keychain.
//!
//! The path of a token, one way through the house:
//!
//! ```text
//! imap/ ──raw message──▶ mail/ ──Verdict──▶ keychain/ ──Receipt──▶ stdout · socket · hooks
//! (wire)                 (pure)             (OS)                   (announce)
//!                        ledger ◀── what was stored, from which mail, when; never the secret
//! ```
//!
//! - [`imap`] speaks to mail servers: it bounds what they can do, finds new mail, and waits for it.
//! - [`mail`] judges a mail: octets in, verdict out. No I/O. A new kind of mail is a file there, as the mail with a
//!   verification code is ([`mail::Kind`]).
//! - [`keychain`] speaks to the OS keychain, or to the user's own commands; nothing counts as stored until it was read
//!   back. A new store is a file there.
//! - [`ledger`] records what was stored, and decides which of two mails counts.
//! - [`intake`] is the one function that every command's mails go through.
//! - [`receipt`] says what became of a mail. A verification code is in none of them but the [`receipt::CodeReceipt`],
//!   which only those hear who asked for a code.
//! - [`attendant`] attends one account: what the watch finds goes through the intake, and what became of it is told
//!   as [`news`], which holds [`receipt`]s.
//! - [`daemon`] attends every account all the time, and shares its watches with the commands.
//! - [`pairing`] waits for the token that a reset causes, by the daemon's watch or one of its own. A program that resets
//!   tokens itself begins here, with [`Pairing`].
//! - [`commands`] has a file for each subcommand of [`cli`]; only they print.
//! - [`daemon`] is what stays: its [`daemon::hooks`], the units that start it ([`daemon::unit`]).
//! - [`config`] reads what the user wrote, [`account`] is a mailbox made of it: how to log in ([`account::oauth2`] makes
//!   access tokens), and what a refusal means ([`account::advice`]). A new provider goes there.
//! - [`dns`] gets the keys that prove a sender.
//! - [`doctor`] tries every link of the chain, and says what to do about a broken one.
//! - [`report`] is what a report of a bug needs, masked.
//! - [`logging`] sees to it that logs and panics hold no secret.

pub mod account;
mod asked;
pub mod attendant;
pub mod cli;
pub mod commands;
pub mod config;
#[cfg(windows)]
mod console;
mod crash;
pub mod daemon;
pub mod dns;
pub mod doctor;
mod escape;
mod hardening;
pub mod imap;
pub mod intake;
pub mod keychain;
pub mod ledger;
pub mod logging;
pub mod mail;
pub mod news;
pub mod pairing;
mod private;
mod process;
pub mod receipt;
pub mod report;

pub use pairing::Pairing;

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Duration;

/// How long the end may wait for tokens on their way: who ends us waits for 2 s in all.
const REFRESH: Duration = Duration::from_millis(450);

/// The command `fetch-token`: reads the arguments, runs the command, gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    logging::hide_panic_texts();
    hardening::give_up_dumps();
    catch_unwind(run).unwrap_or_else(|_| {
        eprintln!(
            "fetch-token: a bug, at {}. Nothing is lost; call it again, and please report this",
            logging::last_panic()
        );
        ExitCode::FAILURE
    })
}

fn run() -> ExitCode {
    let cli = match cli::Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        // Help and usage errors, printed where each belongs.
        Err(error) => error.exit(),
    };
    match &cli.command {
        cli::Command::Daemon(args) => logging::start_daemon(&cli.global, args.log),
        _ => logging::start(&cli.global),
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("fetch-token: the system refuses what every program needs: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(commands::dispatch(cli));
    // Whoever breaks off a refresh may lose the login.
    runtime.block_on(account::oauth2::settled(REFRESH));
    // A person may never answer a prompt; nothing waits for the thread that asks.
    runtime.shutdown_background();
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
