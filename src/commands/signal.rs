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

/// Waits for Ctrl-C, which has SIGINT's number where there are no signals.
#[cfg(not(unix))]
pub(super) async fn ended() -> i32 {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    2
}
