//! What shells complete, made of the command line's types.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};
use fetch_token::cli::Cli;

use super::File;

/// A file for each shell, named as the shell looks for it. Where no command stands first, `wait` is meant; its options
/// are completed only after the word.
pub(super) fn all() -> Vec<File> {
    let shells = [
        (Shell::Bash, "fetch-token.bash"),
        (Shell::Zsh, "_fetch-token"),
        (Shell::Fish, "fetch-token.fish"),
        (Shell::PowerShell, "fetch-token.ps1"),
    ];
    shells
        .map(|(shell, name)| {
            let mut contents = Vec::new();
            generate(shell, &mut Cli::command(), "fetch-token", &mut contents);
            if shell == Shell::Bash {
                contents = with_one_name_of_the_program(&contents);
            }
            (name.to_owned(), contents)
        })
        .into()
}

/// `clap_complete` 4.6 writes the hyphen of a program's name in two ways, so that nothing is completed after a command
/// (clap-rs/clap#6421). Once it does not, nothing is replaced here.
fn with_one_name_of_the_program(script: &[u8]) -> Vec<u8> {
    let script = String::from_utf8_lossy(script);
    let script = script.replace("fetch__subcmd__token__subcmd__", "fetch__token__subcmd__");
    script.into_bytes()
}
