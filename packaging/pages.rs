//! Man pages: of the command line's types, and of the configuration's keys.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, line_break, roman};
use fetch_token::cli::{Cli, EXIT_CODES};
use fetch_token::config::keys::{Absent, Key, TABLES, Table};
use jiff::Timestamp;

use super::File;

const PROGRAM: &str = "fetch-token";

/// The page of the configuration. The file is named otherwise; `man config.toml` would be anybody's.
const CONFIGURATION: &str = "fetch-token.toml";

/// The configuration's places: those that the crate `directories` knows.
const PLACES: [(&str, &str); 3] = [
    ("Linux", "~/.config/fetch-token/config.toml"),
    (
        "macOS",
        "~/Library/Application Support/fetch-token/config.toml",
    ),
    ("Windows", "%APPDATA%\\fetch-token\\config\\config.toml"),
];

/// The page of the program, and one of each of its commands.
pub(super) fn of_commands() -> io::Result<Vec<File>> {
    let mut program = Cli::command();
    program.build();
    let mut files = vec![of_program(&program)?];
    for command in program.get_subcommands() {
        let mut page = Vec::new();
        let man = man(command);
        man.render(&mut page)?;
        see_also(&[(PROGRAM, 1), (CONFIGURATION, 5)]).to_writer(&mut page)?;
        files.push((man.get_filename(), page));
    }
    Ok(files)
}

fn man(command: &Command) -> Man {
    Man::new(command.clone())
        .date(date())
        .source(source())
        .manual("User Commands")
}

fn source() -> String {
    format!("{PROGRAM} {}", env!("CARGO_PKG_VERSION"))
}

/// The pages' date: `SOURCE_DATE_EPOCH`, by which the same source gives the same package, else today.
fn date() -> String {
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok();
    let second = epoch.and_then(|epoch| Timestamp::from_second(epoch.parse().ok()?).ok());
    let time = second.unwrap_or_else(Timestamp::now);
    time.strftime("%F").to_string()
}

fn of_program(program: &Command) -> io::Result<File> {
    let mut page = Vec::new();
    let man = man(program);
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    let mut roff = Roff::new();
    roff.control("PP", []);
    roff.text([
        roman("Without a command, "),
        bold("wait"),
        roman(" is meant."),
    ]);
    roff.to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        roff.control("TP", ["4"]);
        roff.text([bold(code.to_string())]);
        roff.text([roman(meaning)]);
    }
    roff.control("PP", []);
    roff.text([
        roman("A tool that "),
        bold("run"),
        roman(" started and that failed passes its own status on. A signal ends it with 128 and the signal's number."),
    ]);
    roff.to_writer(&mut page)?;
    files().to_writer(&mut page)?;
    let commands = program
        .get_subcommands()
        .map(|command| format!("{PROGRAM}-{}", command.get_name()));
    let commands: Vec<_> = commands.collect();
    let mut others = vec![(CONFIGURATION, 5)];
    others.extend(commands.iter().map(|command| (command.as_str(), 1)));
    see_also(&others).to_writer(&mut page)?;
    Ok((man.get_filename(), page))
}

/// The page of the configuration.
pub(super) fn of_configuration() -> io::Result<File> {
    let mut roff = Roff::new();
    let (date, source) = (date(), source());
    roff.control("TH", [CONFIGURATION, "5", &date, &source, "File Formats"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!(
        "{CONFIGURATION} - the configuration of {PROGRAM}"
    ))]);
    roff.control("SH", ["SYNOPSIS"]);
    for (position, (platform, place)) in PLACES.into_iter().enumerate() {
        if position > 0 {
            roff.control("br", []);
        }
        roff.text([italic(place), roman(format!(" ({platform})"))]);
    }
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([
        roman("A TOML file. "),
        bold(format!("{PROGRAM} login")),
        roman(
            " writes it, and it can be written by hand. A key that is not known here is an error that names its place.",
        ),
    ]);
    roff.text([
        bold(format!("{PROGRAM} reload")),
        roman(" makes a running daemon read it again."),
    ]);
    for table in TABLES {
        describe(table, &mut roff);
    }
    roff.control("SH", ["EXAMPLE"]);
    roff.control("nf", []);
    for line in [
        "[[account]]",
        "address = \"integration@acme.example\"",
        "host = \"imap.acme.example\"",
        "password = { command = [\"pass\", \"imap/acme\"] }",
        "usernames = [\"*@acme.example\", \"*@acme.example.uat\"]",
        "",
        "[[hook]]",
        "on = \"stored\"",
        "command = [\"systemctl\", \"--user\", \"restart\", \"etl\"]",
    ] {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    let mut page = Vec::new();
    roff.to_writer(&mut page)?;
    see_also(&[
        (PROGRAM, 1),
        ("fetch-token-login", 1),
        ("fetch-token-daemon", 1),
    ])
    .to_writer(&mut page)?;
    Ok((format!("{CONFIGURATION}.5"), page))
}

fn describe(table: &Table, roff: &mut Roff) {
    roff.control("SH", [table.heading]);
    // Not adjusted: values are not broken, and leave holes.
    roff.control("ad", ["l"]);
    roff.text([roman(table.meaning)]);
    for key in table.keys {
        describe_key(key, roff);
    }
}

fn describe_key(key: &Key, roff: &mut Roff) {
    roff.control("TP", []);
    roff.text([bold(key.name), roman(format!(" = {}", key.example))]);
    roff.text([roman(key.meaning)]);
    roff.text([line_break(), roman(format!("Takes {}.", key.value))]);
    roff.text(match key.absent {
        Absent::Refused => vec![roman("It has to be there.")],
        Absent::Value(value) => vec![roman("Left out: "), bold(value), roman(".")],
        Absent::Words(words) => vec![roman(format!("Left out: {words}."))],
    });
}

fn files() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["FILES"]);
    for (platform, place) in PLACES {
        roff.control("TP", []);
        roff.text([italic(place)]);
        roff.text([
            roman(format!("The configuration on {platform}: ")),
            bold(CONFIGURATION),
            roman("(5)."),
        ]);
    }
    roff
}

fn see_also(pages: &[(&str, u8)]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let mut line = Vec::new();
    for (place, (page, section)) in pages.iter().enumerate() {
        if place > 0 {
            line.push(roman(", "));
        }
        line.extend([bold(*page), roman(format!("({section})"))]);
    }
    roff.text(line);
    roff
}
