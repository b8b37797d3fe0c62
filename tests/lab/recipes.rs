//! The blocks of TOML in the pages of `docs/`, so that what a page says is what the tests run.

use std::path::Path;

/// The blocks of a page, each with the heading it stands under.
pub fn recipes(page: &str) -> Vec<(String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(page);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{page}: {error}"));
    let mut heading = "";
    let mut block: Option<String> = None;
    let mut found = Vec::new();
    for line in text.lines() {
        match &mut block {
            None if line == "```toml" => block = Some(String::new()),
            None if line.starts_with('#') => heading = line.trim_start_matches('#').trim(),
            None => {}
            Some(_) if line == "```" => {
                found.extend(block.take().map(|block| (heading.to_owned(), block)));
            }
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    found
}

/// The one block under this heading.
pub fn recipe(page: &str, heading: &str) -> String {
    let mut found = recipes(page);
    found.retain(|(under, _)| under == heading);
    assert_eq!(found.len(), 1, "blocks under {heading} of {page}");
    found.remove(0).1
}
