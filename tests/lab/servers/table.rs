//! What came of each case with each server, as a table that people read.

use std::fmt::Write as _;

/// What came of one case with one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// It works; what was seen.
    Works(String),
    /// The server cannot do it, as was seen; the program does what it can without.
    Lacks(String),
    /// It does not work as it should.
    Fails(String),
}

/// Cases in rows, servers in columns; what was seen stands below, server by server.
#[derive(Debug, Default)]
pub struct Table {
    servers: Vec<String>,
    columns: Vec<Vec<(&'static str, Cell)>>,
}

impl Table {
    pub fn add(&mut self, server: String, column: Vec<(&'static str, Cell)>) {
        self.servers.push(server);
        self.columns.push(column);
    }

    /// The table, and whether anything in it fails.
    pub fn shown(&self) -> (String, bool) {
        let width = self.rows().map(str::len).max().unwrap_or_default();
        let mut text = format!("{:width$}", "");
        for server in &self.servers {
            write!(text, "  {server}").expect("write into a String");
        }
        for (row, case) in self.rows().enumerate() {
            write!(text, "\n{case:width$}").expect("write into a String");
            for (server, column) in self.servers.iter().zip(&self.columns) {
                let sign = match column[row].1 {
                    Cell::Works(_) => "✓",
                    Cell::Lacks(_) => "–",
                    Cell::Fails(_) => "✗",
                };
                let room = server.chars().count();
                write!(text, "  {sign:room$}").expect("write into a String");
            }
        }
        let mut has_failed = false;
        for (server, column) in self.servers.iter().zip(&self.columns) {
            write!(text, "\n\n{server}").expect("write into a String");
            for (case, cell) in column {
                let (sign, words) = match cell {
                    Cell::Works(words) => ("✓", words),
                    Cell::Lacks(words) => ("–", words),
                    Cell::Fails(words) => ("✗", words),
                };
                has_failed |= matches!(cell, Cell::Fails(_));
                write!(text, "\n  {sign} {case:width$}  {words}").expect("write into a String");
            }
        }
        text.push('\n');
        (text, has_failed)
    }

    fn rows(&self) -> impl Iterator<Item = &'static str> {
        self.columns
            .first()
            .into_iter()
            .flatten()
            .map(|(case, _)| *case)
    }
}
