//! TLS contexts, shared between connections.
//!
//! A context holds the system's authorities, parsed: some 860 KiB, and some milliseconds to make. A connection that
//! shares one costs 15 KiB.

use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use native_tls::{Certificate, Protocol, TlsConnector, TlsConnectorBuilder};

/// How long connections begin with the same context: authorities that the system takes in or throws out count after
/// that at the latest.
const LIFETIME: Duration = Duration::from_hours(24);

/// A context, and what it was made of.
struct Shared {
    /// The authorities trusted beside the system's (DER).
    authorities: Vec<Vec<u8>>,
    since: Instant,
    connector: TlsConnector,
}

/// As many as there are different `ca_file`s.
static SHARED: Mutex<Vec<Shared>> = Mutex::new(Vec::new());

/// What every context has: the system's authorities and these, and no TLS before this one.
pub(super) fn builder(authorities: &[Certificate], least: Protocol) -> TlsConnectorBuilder {
    let mut builder = TlsConnector::builder();
    builder.min_protocol_version(Some(least));
    for authority in authorities {
        builder.add_root_certificate(authority.clone());
    }
    builder
}

/// The context for connections to mail servers: TLS 1.2 at least, chain and host name checked.
pub(super) fn shared(authorities: &[Certificate]) -> native_tls::Result<TlsConnector> {
    let der: native_tls::Result<Vec<_>> = authorities.iter().map(Certificate::to_der).collect();
    let der = der?;
    let mut all = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|shared| shared.since.elapsed() < LIFETIME);
    if let Some(known) = all.iter().find(|shared| shared.authorities == der) {
        return Ok(known.connector.clone());
    }
    let connector = builder(authorities, Protocol::Tlsv12).build()?;
    all.push(Shared {
        authorities: der,
        since: Instant::now(),
        connector: connector.clone(),
    });
    Ok(connector)
}

/// Begins to make this process's first context, on a thread of its own: some 60 ms, for OpenSSL and `native-tls` read
/// the system's authorities both. Meanwhile the password is asked for and TCP connects. Later ones of a daemon are not
/// worth a thread each.
pub(super) fn prepare(authorities: &[Certificate]) {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let authorities = authorities.to_vec();
        // Who needs it waits for it, and hears of a failure then.
        tokio::task::spawn_blocking(move || drop(shared(&authorities)));
    });
}

/// Connections that begin from now on look at the system's authorities anew.
pub fn forget_contexts() {
    SHARED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clear();
}
