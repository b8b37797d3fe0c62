//! What Windows tells the programs of a console.

use std::future::pending;

use tokio::signal::windows;

/// SIGINT's number, which scripts know.
const INTERRUPTED: i32 = 2;

/// SIGTERM's number.
const TERMINATED: i32 = 15;

/// Waits for Ctrl-C or Ctrl-Break, or until the console is closed, the user logs off or the machine goes down; gives
/// the number of the signal that means the same elsewhere.
pub(crate) async fn ended() -> i32 {
    macro_rules! heard {
        ($listen:ident) => {
            async {
                match windows::$listen() {
                    Ok(mut event) => {
                        event.recv().await;
                    }
                    // Without a handler Windows ends the process.
                    Err(_) => pending().await,
                }
            }
        };
    }
    tokio::select! {
        () = heard!(ctrl_c) => INTERRUPTED,
        () = heard!(ctrl_break) => TERMINATED,
        () = heard!(ctrl_close) => TERMINATED,
        () = heard!(ctrl_logoff) => TERMINATED,
        () = heard!(ctrl_shutdown) => TERMINATED,
    }
}
