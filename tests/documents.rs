//! What the documents name is there: paths, pages and their headings, and the scripts that the workflows run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Folders in which nothing of ours lies.
const NOT_OURS: [&str; 5] = [".git", "target", "node_modules", "corpus", "artifacts"];

/// Every file of the repository with this end, from its root.
fn files(end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(ROOT)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let (path, name) = (
                entry.path(),
                entry.file_name().to_string_lossy().into_owned(),
            );
            if path.is_dir() && !NOT_OURS.contains(&name.as_str()) {
                folders.push(path);
            } else if name.ends_with(end) && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A page without its blocks of code: what stands there belongs to the reader's machine.
fn prose(text: &str) -> String {
    let mut is_fenced = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        !is_fenced && !is_fence && !line.starts_with("    ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The targets of a page's links.
fn links(prose: &str) -> Vec<&str> {
    let ends = prose.split("](").skip(1);
    ends.filter_map(|rest| rest.split(')').next()).collect()
}

/// What stands between backticks on a page.
fn code(prose: &str) -> Vec<&str> {
    prose
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

/// How a heading is linked to.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// Whether a path, in which `*` may stand, is there.
fn is_there(path: &Path) -> bool {
    let before: PathBuf = path
        .components()
        .take_while(|part| !part.as_os_str().to_string_lossy().contains(['*', '{']))
        .collect();
    before.exists()
}

#[test]
fn every_link_of_every_page_leads_somewhere() {
    let pages = files(".md");
    assert!(pages.len() > 12, "{pages:?}");
    let mut dead = Vec::new();
    for page in &pages {
        let text = prose(&read(page));
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.parent().expect("a folder").join(path),
            };
            let has_heading = || {
                let text = prose(&read(&target));
                let mut headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                headings.any(|line| anchor(line.trim_start_matches('#')) == heading)
            };
            if !target.exists() || (!heading.is_empty() && !has_heading()) {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn every_path_that_a_page_names_is_there() {
    let is_folder_of_ours = |first: &str| {
        let is_hidden_from_us = NOT_OURS.contains(&first);
        !is_hidden_from_us && Path::new(ROOT).join(first).is_dir()
    };
    let mut named = BTreeSet::new();
    let mut missing = Vec::new();
    for page in files(".md") {
        let text = prose(&read(&page));
        for span in code(&text) {
            let Some(path) = span.split_whitespace().next() else {
                continue;
            };
            let mut parts = Path::new(path).components();
            let Some(Component::Normal(first)) = parts.next() else {
                continue;
            };
            if parts.next().is_none() && !path.ends_with('/')
                || !is_folder_of_ours(&first.to_string_lossy())
            {
                continue;
            }
            named.insert(path.to_owned());
            // A page of a folder may mean its own, too.
            let own = page.parent().expect("a folder").join(path);
            if !is_there(&Path::new(ROOT).join(path)) && !is_there(&own) {
                missing.push(format!("{}: {path}", page.display()));
            }
        }
    }
    for known in [
        "src/mail/kind/token.rs",
        "scripts/install-parts",
        "tests/lab/",
    ] {
        assert!(named.contains(known), "{known} is not seen: {named:?}");
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_script_that_a_workflow_runs_is_there_and_can_be_run() {
    let mut named = BTreeSet::new();
    for workflow in files(".yml") {
        let text = read(&workflow);
        let words = text.split(|c: char| c.is_whitespace() || "'\"`()$;".contains(c));
        let scripts = words.filter(|word| word.starts_with("scripts/"));
        named.extend(scripts.map(|word| word.trim_end_matches(['.', ',']).to_owned()));
    }
    assert!(
        named.contains("scripts/test") && named.contains("scripts/fuzz"),
        "{named:?}"
    );
    for script in named {
        let file = Path::new(ROOT).join(&script);
        let found = fs::metadata(&file).unwrap_or_else(|error| panic!("{script}: {error}"));
        assert!(found.is_file(), "{script}");
        #[cfg(unix)]
        assert_ne!(
            std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o111,
            0,
            "{script} cannot be run"
        );
    }
}

#[test]
fn every_folder_whose_dependencies_are_watched_is_there() {
    let text = read(&Path::new(ROOT).join(".github/dependabot.yml"));
    let words = text.split_whitespace().filter(|word| word.starts_with('/'));
    let folders: Vec<_> = words
        .map(|word| Path::new(ROOT).join(word.trim_start_matches('/')))
        .collect();
    assert!(folders.len() > 4, "{folders:?}");
    let has_a_list = |folder: &PathBuf| {
        ["Cargo.toml", "package.json", ".github"]
            .iter()
            .any(|name| folder.join(name).exists())
    };
    let missing: Vec<_> = folders
        .iter()
        .filter(|folder| !has_a_list(folder))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_action_of_a_workflow_is_pinned_to_a_commit_and_the_default_is_to_read_only() {
    for workflow in files(".yml") {
        if !workflow.starts_with(Path::new(ROOT).join(".github/workflows")) {
            continue;
        }
        let text = read(&workflow);
        let shown = workflow.display();
        for line in text.lines().filter_map(|line| line.split("uses: ").nth(1)) {
            let (action, version) = line
                .split_once(" # v")
                .unwrap_or_else(|| panic!("{shown}: {line} names no version"));
            let commit = action
                .split_once('@')
                .map(|(_, commit)| commit)
                .unwrap_or_default();
            let is_commit = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
            assert!(is_commit && !version.is_empty(), "{shown}: {line}");
        }
        assert!(
            text.contains("\npermissions:\n  contents: read\n"),
            "{shown}"
        );
        assert!(text.contains("\nconcurrency:\n"), "{shown}");
        assert_eq!(
            text.matches("actions/checkout@").count(),
            text.matches("persist-credentials: false").count()
        );
    }
}

#[test]
fn the_versions_that_documents_name_are_those_of_the_package() {
    let changelog = read(&Path::new(ROOT).join("CHANGELOG.md"));
    assert!(
        changelog.contains(concat!("\n## [", env!("CARGO_PKG_VERSION"), "] - ")),
        "{changelog}"
    );
    let stability = read(&Path::new(ROOT).join("docs/stability.md"));
    assert!(stability.contains(concat!(
        "in `Cargo.toml`, ",
        env!("CARGO_PKG_RUST_VERSION"),
        " now"
    )));
}
