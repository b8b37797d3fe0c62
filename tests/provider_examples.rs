//! The configurations in the documentation are read as they stand there.

use fetch_token::config::Config;
use std::path::Path;

#[test]
fn every_configuration_in_the_page_on_providers_is_valid() {
    let text = include_str!("../docs/providers.md");
    let examples: Vec<_> = text
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert_eq!(examples.len(), 6);
    for example in examples {
        let read = Config::parse(example, Path::new("providers.md"));
        read.unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}
