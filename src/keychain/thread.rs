//! Work that blocks, on a thread of its own: what it waits for may hang for good, and is then left behind. Nobody joins
//! it, not even at the end.

use std::io;

use tokio::sync::oneshot::{self, Receiver};

/// Begins the work. No result comes where it panics.
pub(super) fn begin<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Receiver<T>> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("keychain".to_owned())
        .spawn(move || {
            // Nobody may be listening any more.
            let _ = done.send(work());
        })?;
    Ok(result)
}
