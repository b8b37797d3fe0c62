//! Writes what a package installs besides the program: man pages, completions and the systemd user unit. All of it is
//! made of the program's own types, so that none of it says what the program does not do.
//!
//!     cargo run --example packaging-files -- FOLDER

mod completions;
mod pages;
mod unit;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

/// A file's name, and what it holds.
type File = (String, Vec<u8>);

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: packaging-files FOLDER");
        return ExitCode::from(2);
    };
    match write(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "packaging-files: cannot write into {}: {error}",
                folder.display()
            );
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<()> {
    for (below, files) in [
        ("man/man1", pages::of_commands()?),
        ("man/man5", vec![pages::of_configuration()?]),
        ("completions", completions::all()),
        ("systemd", vec![unit::systemd()?]),
    ] {
        let below = folder.join(below);
        fs::create_dir_all(&below)?;
        for (name, contents) in files {
            fs::write(below.join(name), contents)?;
        }
    }
    Ok(())
}
