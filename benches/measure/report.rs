//! What a bench says in the end: sentences, tables and plots, in Markdown.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::Plot;

/// One bench's part of `docs/performance.md`.
pub struct Report {
    name: &'static str,
    text: String,
}

impl Report {
    /// `name` is the bench's own.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            text: String::new(),
        }
    }

    /// A paragraph.
    pub fn say(&mut self, words: impl AsRef<str>) {
        self.block(words.as_ref());
    }

    /// A table. The first column is text, the others are figures and stand to the right.
    pub fn table(&mut self, columns: &[&str], rows: &[Vec<String>]) {
        let mut table = format!("| {} |\n|---", columns.join(" | "));
        table.push_str(&"|---:".repeat(columns.len() - 1));
        table.push('|');
        for row in rows {
            assert_eq!(row.len(), columns.len(), "{row:?}");
            write!(table, "\n| {} |", row.join(" | ")).expect("text");
        }
        self.block(&table);
    }

    /// A plot, as a file of its own; `slug` tells it from this bench's other plots.
    pub fn plot(&mut self, slug: &str, plot: &Plot) {
        let file = format!("{}-{slug}.svg", self.name);
        plot.draw(&folder().join(&file));
        self.block(&format!("![{}](performance/{file})", plot.title));
    }

    fn block(&mut self, text: &str) {
        println!("{text}\n");
        self.text.push_str(text);
        self.text.push_str("\n\n");
    }

    /// Leaves it in `target/bench/`.
    pub fn write(self) {
        let file = folder().join(self.name).with_extension("md");
        fs::write(&file, self.text.trim_end()).expect("target/bench can be written");
    }
}

/// `target/bench`, wherever cargo was told to build.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&folder).expect("target/bench can be made");
    folder
}
