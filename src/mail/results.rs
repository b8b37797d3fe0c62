//! Proof by the word of the user's own provider: Authentication-Results (RFC 8601).
//!
//! Anybody can write such a field. What counts is the one that the provider put at the top, known by its authserv-id,
//! and in it the properties of a `dkim=pass`, each read as the grammar says.

mod grammar;

use super::dkim::Candidate;
use super::header::Section;
use super::signature::Signature;
use super::unproved::NoWord;
use grammar::{Outcome, Statement};

/// The signature of `domain` that the provider found right.
///
/// The field that decides is the first one that speaks of DKIM in the topmost run of adjacent fields with the trusted
/// authserv-id. Milters write one field for each method, so the run is read; but a provider that forgets to take out
/// what a sender wrote in its name may put its own field right above, so a second field cannot overrule the first.
pub(super) fn vouched<'c, 'a>(
    section: &Section<'a>,
    trusted: &str,
    domain: &str,
    candidates: &'c [Candidate<'a>],
) -> Result<&'c Signature<'a>, NoWord> {
    let mut run = section
        .fields()
        .iter()
        .map(|field| {
            let is_results = field.is_named("Authentication-Results");
            is_results.then(|| field.raw_value())
        })
        .map(|value| value.and_then(grammar::authserv_id))
        .skip_while(|said| !is_by(said.as_ref(), trusted))
        .take_while(|said| is_by(said.as_ref(), trusted))
        .flatten()
        .peekable();
    if run.peek().is_none() {
        return Err(NoWord::Absent);
    }
    for (_, rest) in run {
        let statements = grammar::statements(rest).map_err(|_| NoWord::Malformed)?;
        let mut of_dkim = statements
            .iter()
            .filter(|statement| statement.method == "dkim")
            .peekable();
        if of_dkim.peek().is_some() {
            return of_dkim
                .find_map(|statement| passed(statement, domain, candidates))
                .ok_or(NoWord::NoPass);
        }
    }
    Err(NoWord::NoPass)
}

fn is_by(said: Option<&(String, &str)>, trusted: &str) -> bool {
    said.is_some_and(|(id, _)| id.eq_ignore_ascii_case(trusted))
}

/// The signature that this statement passes. The statement may not say which one of the domain's it means: then all
/// that it may mean must meet the policy, or a signature that does would vouch for one that does not.
fn passed<'c, 'a>(
    statement: &Statement,
    domain: &str,
    candidates: &'c [Candidate<'a>],
) -> Option<&'c Signature<'a>> {
    if statement.outcome != Outcome::Pass || !is_of(statement, domain) {
        return None;
    }
    let agrees =
        |property: &str, holds: &dyn Fn(&str) -> bool| statement.values(property).all(holds);
    let mut meant = candidates.iter().filter(|candidate| {
        let tag = |name| candidate.tags.get(name).unwrap_or_default();
        let signature = candidate.tags.get_unfolded("b").unwrap_or_default();
        agrees("header.s", &|s| s.eq_ignore_ascii_case(tag("s")))
            && agrees("header.a", &|a| a.eq_ignore_ascii_case(tag("a")))
            // The beginning of `b=` (RFC 6008).
            && agrees("header.b", &|b| signature.starts_with(b))
    });
    let first = meant.next()?.signature.as_ref().ok()?;
    meant
        .all(|candidate| candidate.signature.is_ok())
        .then_some(first)
}

/// Whether `header.d`, or `header.i` where that is not said (as at Gmail), is the domain itself.
fn is_of(statement: &Statement, domain: &str) -> bool {
    let is_domain = |value: &str| value.eq_ignore_ascii_case(domain);
    let mut signers = statement.values("header.d").peekable();
    if signers.peek().is_some() {
        return signers.all(is_domain);
    }
    let mut agents = statement.values("header.i").peekable();
    agents.peek().is_some()
        && agents.all(|agent| {
            // One `@` and no more: the part before it may be anything, quoted too.
            agent.split_once('@').is_some_and(|(_, of)| is_domain(of))
        })
}
