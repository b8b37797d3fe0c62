//! What every bench does with its measurements: figures of several runs, tables, plots, and the costs of a process.
//!
//! A [`Report`] is printed, and left in `target/bench/` as Markdown beside its plots. `scripts/bench --write` puts it
//! into `docs/performance.md`.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each bench includes this module and uses only a part of it"
)]

mod plot;
mod process;
mod report;
mod run;
mod summary;

pub use plot::{Axis, Plot, Scale};
pub use process::Usage;
pub use report::Report;
pub use run::Run;
pub use summary::{RUNS, Summary, Unit, percentile};
