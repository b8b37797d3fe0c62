//! Room for a connection an account: many systems let a process have 1,024 descriptors unless it asks for more.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside the accounts' connections: clients of the socket, files of the ledger, the keychain, pipes to
/// programs that give passwords, of which as many run as there are turns to log in.
const BESIDE: u64 = 512;

/// Asks the system for as many descriptors as so many accounts want, where it gives fewer; says what to do where it
/// does not let us have them. Never for more than is wanted: programs that hooks start inherit the limit, and some
/// close every descriptor up to it.
pub(super) fn make_room_for(accounts: usize) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = accounts as u64 + BESIDE;
    // None is no limit.
    let now = limit.current.unwrap_or(u64::MAX);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if now < wanted {
        let raised = Rlimit {
            current: Some(wanted.min(most)),
            maximum: limit.maximum,
        };
        let raised = setrlimit(Resource::Nofile, raised);
        if raised.is_err() || most < wanted {
            tracing::warn!(
                accounts,
                limit = if raised.is_err() { now } else { most },
                wanted,
                "the system lets this process have too few open files for a connection an account, and some accounts \
                 may not be watched. Raise the hard limit: LimitNOFILE= in the unit, or ulimit -Hn where it is started"
            );
        }
    }
}
