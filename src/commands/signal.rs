//! What ends us from outside.

/// Waits for Ctrl-C or a request to terminate; gives the signal's number.
#[cfg(unix)]
pub(super) async fn ended() -> i32 {
    use tokio::signal::unix::{SignalKind, signal};

    let listen = |kind: SignalKind| async move {
        match signal(kind) {
            Ok(mut stream) => {
                stream.recv().await;
            }
            // Without a handler the signal's default action ends the process.
            Err(_) => std::future::pending().await,
        }
        kind.as_raw_value()
    };
    tokio::select! {
        number = listen(SignalKind::interrupt()) => number,
        number = listen(SignalKind::terminate()) => number,
        number = listen(SignalKind::hangup()) => number,
    }
}

/// Waits for what Windows tells the programs of a console. Ctrl-C has SIGINT's number, all else SIGTERM's.
#[cfg(windows)]
pub(super) async fn ended() -> i32 {
    crate::console::ended().await
}
