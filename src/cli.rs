//! The command line's types, and nothing else: man pages and completions are made from them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::account::Instance;
use crate::account::discovery::Address;
use crate::imap::{Cursor, Tls};
use crate::keychain::{Choice, Named};

/// Takes a new Salesforce security token from the mailbox it is sent to into the OS keychain.
#[derive(Debug, Parser)]
#[command(
    version,
    subcommand_required = true,
    disable_help_subcommand = true,
    override_usage = "fetch-token [wait] [USERNAME] [OPTIONS]\n       fetch-token COMMAND [OPTIONS]",
    after_help = after_help()
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
}

/// What the exit codes say.
pub const EXIT_CODES: [(u8, &str); 10] = [
    (0, "done"),
    (1, "unexpected"),
    (2, "usage or configuration"),
    (3, "no token or code before the deadline"),
    (4, "mailbox unreachable or misbehaving"),
    (5, "login refused"),
    (6, "keychain unavailable, locked or refusing"),
    (7, "a mail with one came and was refused"),
    (8, "nothing stored for that username"),
    (9, "cannot be judged or recorded for now"),
];

fn after_help() -> String {
    let codes = EXIT_CODES.map(|(code, meaning)| format!("{code} {meaning}"));
    format!(
        "Without a command: wait.\n\nExit codes: {}.",
        codes.join(", ")
    )
}

impl Cli {
    /// Reads the arguments (the program's name first). Where they name no command, `wait` is meant.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut arguments: Vec<OsString> = arguments.into_iter().collect();
        if let Some(place) = place_of_default(&arguments) {
            arguments.insert(place, "wait".into());
        }
        Self::try_parse_from(arguments)
    }
}

/// Where `wait` is left out: before the first argument that is neither a command nor an option of all commands.
fn place_of_default(arguments: &[OsString]) -> Option<usize> {
    let mut place = 1;
    while let Some(argument) = arguments.get(place) {
        let word = argument.to_string_lossy();
        match &*word {
            "--config" | "--dkim-keys" => place += 2,
            "-h" | "--help" | "-V" | "--version" => return None,
            "--json" | "--quiet" | "--verbose" => place += 1,
            _ if word.starts_with("--config=") || word.starts_with("--dkim-keys=") => place += 1,
            _ if word.len() > 1
                && word.starts_with('-')
                && word[1..].chars().all(|flag| matches!(flag, 'q' | 'v')) =>
            {
                place += 1;
            }
            _ if Cli::command().find_subcommand(&*word).is_some() => return None,
            _ => break,
        }
    }
    Some(place.min(arguments.len()))
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Print one JSON object a line on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Say nothing on standard error but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on standard error; twice for each step
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Read this configuration instead of the user's
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Take DKIM keys from this JSON file instead of DNS: {"SELECTOR._domainkey.DOMAIN": "v=DKIM1; ..."}
    #[arg(long, global = true, value_name = "FILE")]
    pub dkim_keys: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Wait for the next token mail, store the token, say so
    Wait(WaitArgs),
    /// Print a cursor: "what arrives after this point", for `wait --from`
    Arm(ArmArgs),
    /// Watch, run the tool that resets the token, store the token that comes
    Run(RunArgs),
    /// Watch, open the page with the button that resets the token in the browser, store the token that comes
    Open(OpenArgs),
    /// Wait for the mail with a verification code, and print the code; it is stored nowhere
    Code(CodeArgs),
    /// Print the stored token
    Get(GetArgs),
    /// Run a program with the stored token in its environment
    Exec(ExecArgs),
    /// Show what is stored, from which mail, since when; never the token
    List,
    /// Move stored tokens to another store
    Move(MoveArgs),
    /// Delete the stored token
    Forget(ForgetArgs),
    /// Judge mails from files
    Extract(ExtractArgs),
    /// Show the token mails that were refused; never a token
    Refused,
    /// Store the token of a mail that was refused, after a look at what failed
    Accept(AcceptArgs),
    /// Watch every account until ended; SIGHUP reads the configuration again
    Daemon(DaemonArgs),
    /// Show how the daemon's accounts are doing; exit code 4 where no daemon runs
    Status,
    /// Add a mailbox: find its server, log in, choose usernames, store the password, write the configuration
    Login(LoginArgs),
    /// Take a mailbox out of the configuration, and its password out of the keychain
    Logout(LogoutArgs),
    /// Have the daemon read its configuration again; a bad one is refused, and the old one stays
    Reload,
    /// Try every link of the chain, and say what to do about a broken one
    Doctor(DoctorArgs),
    /// Print what a report of a bug needs, with names masked; look it over before you show it to anybody
    Report(ReportArgs),
}

/// `wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// The Salesforce username whose token is waited for; any of the account's otherwise
    #[arg(value_parser = username)]
    pub username: Option<String>,
    /// How to wait.
    #[command(flatten)]
    pub waiting: Waiting,
    /// Also take a mail that arrived within this time before
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration, conflicts_with = "from")]
    pub since: Duration,
    /// Take what arrived after this cursor, which `arm` or `run` printed
    #[arg(long, value_name = "CURSOR")]
    pub from: Option<Cursor>,
}

/// How `wait`, `run` and `open` wait.
#[derive(Debug, Args)]
pub struct Waiting {
    /// End after this time, connecting included
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
    /// Watch the account with this address
    #[arg(long, value_name = "ADDRESS")]
    pub account: Option<String>,
    /// Print the token as well
    #[arg(long)]
    pub print: bool,
}

/// `arm`.
#[derive(Debug, Args)]
pub struct ArmArgs {
    /// The Salesforce username whose account is meant
    #[arg(value_parser = username)]
    pub username: Option<String>,
    /// End after this time
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
    /// Take the account with this address
    #[arg(long, value_name = "ADDRESS")]
    pub account: Option<String>,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The Salesforce username whose token the tool resets; any of the account's otherwise
    #[arg(value_parser = username)]
    pub username: Option<String>,
    /// How to wait.
    #[command(flatten)]
    pub waiting: Waiting,
    /// The tool, with its arguments, after `--`
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// The Salesforce username whose token is to be reset
    #[arg(value_parser = username)]
    pub username: String,
    /// How to wait.
    #[command(flatten)]
    pub waiting: Waiting,
    /// The org's address, such as `https://acme.my.salesforce.com`, in place of `instance` in the configuration
    #[arg(long, value_name = "URL")]
    pub instance: Option<Instance>,
}

/// `code`.
#[derive(Debug, Args)]
pub struct CodeArgs {
    /// The Salesforce username that logs in; a mail that names another one is passed over
    #[arg(value_parser = username)]
    pub username: Option<String>,
    /// End after this time, connecting included
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
    /// Watch the account with this address
    #[arg(long, value_name = "ADDRESS")]
    pub account: Option<String>,
    /// Also take a mail that arrived within this time before; a code is refused after 15m in any case
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = duration, conflicts_with = "from")]
    pub since: Duration,
    /// Take what arrived after this cursor, which `arm` printed, and nothing that was written before it
    #[arg(long, value_name = "CURSOR")]
    pub from: Option<Cursor>,
}

/// `get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// The Salesforce username
    #[arg(value_parser = username)]
    pub username: String,
}

/// `exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// The Salesforce username
    #[arg(value_parser = username)]
    pub username: String,
    /// The variable that holds the token
    #[arg(long, value_name = "NAME", default_value = "SALESFORCE_SECURITY_TOKEN", value_parser = variable)]
    pub env: String,
    /// The program, with its arguments, after `--`
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `forget`.
#[derive(Debug, Args)]
pub struct ForgetArgs {
    /// The Salesforce username
    #[arg(value_parser = username)]
    pub username: String,
}

/// `move`.
#[derive(Debug, Args)]
pub struct MoveArgs {
    /// The Salesforce usernames whose tokens are moved; all of them otherwise, and what mailboxes are logged in to with
    #[arg(value_parser = username, value_name = "USERNAME")]
    pub usernames: Vec<String>,
    /// The store that they are moved to: secret-service, keyutils, file, macos, windows, or command
    #[arg(long, value_name = "STORE", value_parser = destination)]
    pub to: Destination,
}

/// A store that tokens can be moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// One that the configuration has a name for.
    Named(Named),
    /// The commands that the configuration describes.
    Commands,
}

/// `extract`.
#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// Mails; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Put the tokens through the same intake as `wait` does
    #[arg(long)]
    pub store: bool,
    /// Judge whether the mails bring verification codes, not tokens
    #[arg(long, conflicts_with = "store")]
    pub code: bool,
    /// Print the token or code as well
    #[arg(long)]
    pub print: bool,
}

/// `accept`.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// The mail's ID, as `refused` shows it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// End after this time
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

/// `daemon`.
#[derive(Debug, Args)]
pub struct DaemonArgs {
    /// How each line of the log is written
    #[arg(long, value_name = "FORM", default_value = "human")]
    pub log: LogForm,
    /// Print what starts the daemon at log-on, and do nothing else
    #[arg(long, value_name = "MANAGER")]
    pub print_unit: Option<UnitKind>,
}

/// `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Try the account with this address only
    #[arg(long, value_name = "ADDRESS")]
    pub account: Option<String>,
    /// Put a small mail into each watched folder, see whether it is announced, and delete it
    #[arg(long)]
    pub send_test: bool,
}

/// `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Also try the mailboxes, DNS and the keychain, as `doctor` does; that may ask for a password
    #[arg(long)]
    pub online: bool,
}

/// How a line of the daemon's log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// Time, level, account, words
    Human,
    /// A JSON object
    Json,
}

/// Who starts the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnitKind {
    /// A systemd user unit
    Systemd,
    /// A launchd agent
    Launchd,
}

/// `login`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
pub struct LoginArgs {
    /// The mailbox's address
    pub address: Address,
    /// Do not look for the IMAP server: it is this one
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Its port, where it is not the usual one
    #[arg(long, value_name = "PORT", requires = "host", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// When TLS begins
    #[arg(
        long,
        value_name = "WHEN",
        requires = "host",
        default_value = "implicit"
    )]
    pub tls: Tls,
    /// A PEM file with authorities trusted besides the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The login name, where it is not the address
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// A Salesforce username, or a glob of some, whose tokens may come to this mailbox; may be repeated
    #[arg(long = "username", value_name = "GLOB")]
    pub usernames: Vec<String>,
    /// Read the password from the first line of standard input
    #[arg(long, conflicts_with = "oauth")]
    pub password_stdin: bool,
    /// Log in with OAuth 2.0 at this provider, by a client of your own
    #[arg(long, value_name = "PROVIDER", requires = "client_id")]
    pub oauth: Option<OAuthProvider>,
    /// The client's ID at the provider
    #[arg(long, value_name = "ID", requires = "oauth")]
    pub client_id: Option<String>,
    /// The client has a secret, which the keychain holds
    #[arg(long, requires = "oauth")]
    pub client_secret_in_keychain: bool,
    /// The organization at Microsoft
    #[arg(long, value_name = "TENANT", requires = "oauth")]
    pub tenant: Option<String>,
    /// Show a code to be typed in a browser on another machine, instead of waiting for one on this
    #[arg(long)]
    pub device: bool,
    /// Ask Thunderbird's database as well, which then learns the address's domain
    #[arg(long, conflicts_with = "host")]
    pub ispdb: bool,
    /// Take a server that only DNS names, and replace an account that is there, without asking
    #[arg(long)]
    pub yes: bool,
}

/// Who gives access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OAuthProvider {
    /// Gmail and Workspace
    Google,
    /// Outlook.com and Microsoft 365
    Microsoft,
}

impl OAuthProvider {
    /// Its name in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Microsoft => "microsoft",
        }
    }
}

/// `logout`.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// The mailbox's address
    pub address: Address,
}

fn username(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Ok(text.to_owned());
    }
    Err("it is neither a command nor a Salesforce username, which holds an @".to_owned())
}

fn destination(text: &str) -> Result<Destination, String> {
    const COMMANDS: &str = "command";
    if text == COMMANDS {
        return Ok(Destination::Commands);
    }
    Named::find(text).map(Destination::Named).map_err(|error| {
        let names = Choice::names().filter(|name| Named::find(name).is_ok());
        let names: Vec<_> = names.chain([COMMANDS]).collect();
        format!("{error}. Here a store is {}", names.join(", "))
    })
}

fn variable(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(['=', '\0']) {
        return Err("a variable's name is not empty and holds no `=`".to_owned());
    }
    Ok(text.to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "a time is a number with a unit, for example 90s, 5m or 1h30m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Cli, Command};
    use clap::CommandFactory as _;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        let words = std::iter::once("fetch-token").chain(line.split_whitespace());
        Cli::read(words.map(Into::into))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wait_is_meant_where_no_command_is_named() {
        for line in [
            "",
            "--json",
            "-vv",
            "--config c.toml",
            "me@acme.example",
            "-q --config=c.toml --timeout 5s me@acme.example",
            "wait me@acme.example",
            "--json wait",
        ] {
            let cli = read(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(matches!(cli.command, Command::Wait(_)), "{line}");
        }
        let cli = read("--json run me@acme.example -- tool --json").expect("run");
        assert!(cli.global.json && matches!(cli.command, Command::Run(_)));
    }

    #[test]
    fn a_word_that_is_neither_command_nor_username_is_refused() {
        for line in [
            "wiat",
            "--timeout 5",
            "--since 10m --from ftc1-x",
            "get",
            "run a@b.example",
        ] {
            let error = read(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        let error = read("wiat").expect_err("no username").to_string();
        assert!(
            error.contains("neither a command nor a Salesforce username"),
            "{error}"
        );
    }
}
