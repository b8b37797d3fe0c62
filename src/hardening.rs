//! What the process gives up before it holds a secret.

/// No core dumps, and no other process of the same user may attach or read the memory (Linux).
///
/// A system that refuses one of these still runs the program: they are the second line, not the first.
pub(crate) fn give_up_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        // The soft limit alone, so that a reset tool can raise its own again.
        let limit = Rlimit {
            current: Some(0),
            maximum: getrlimit(Resource::Core).maximum,
        };
        let _ = setrlimit(Resource::Core, limit);
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
