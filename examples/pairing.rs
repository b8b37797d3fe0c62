//! Resets a token by any command, and waits for the token that this reset caused.
//!
//!     cargo run --example pairing -- USERNAME COMMAND [ARGUMENT...]
//!
//! Shares the watch of a running daemon, or watches by itself. Prints what was stored, never the token.

use std::env::args;
use std::error::Error;
use std::process::Command;
use std::time::Duration;

use fetch_token::pairing::{ExposeSecret, Pairing};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = args().skip(1);
    let (Some(username), Some(command)) = (arguments.next(), arguments.next()) else {
        return Err("usage: pairing USERNAME COMMAND [ARGUMENT...]".into());
    };
    let pairing = Pairing::open()?.for_username(&username);
    // Before the reset, so that the fastest mail is not missed.
    let mut armed = pairing.arm(Duration::from_mins(1)).await?;
    let mut reset = Command::new(command);
    reset.args(arguments);
    let status = tokio::task::spawn_blocking(move || reset.status()).await??;
    if !status.success() {
        return Err(format!("the reset failed ({status}). To go on: {}", armed.cursor()).into());
    }
    let answer = armed.token(Duration::from_mins(5)).await?;
    let token = answer.token().await?;
    println!(
        "the token of {username} has {} characters and came with {}",
        token.expose_secret().len(),
        answer.receipt.message_id.as_deref().unwrap_or("a mail"),
    );
    if answer.others > 0 {
        println!("it was reset more than once: {} other mails", answer.others);
    }
    Ok(())
}
