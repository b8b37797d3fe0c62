//! What DNS tells of a domain's mail: its IMAP servers (RFC 6186), and who receives its mail (RFC 5321 §5.1).

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::{Address, Secret, Server, Source, is_host_name, providers};
use crate::imap::Tls;

/// The server that the domain's SRV records name; the error says why there is none. Implicit TLS goes first
/// (RFC 8314 §5.1).
pub(super) async fn server(resolver: &TokioResolver, address: &Address) -> Result<Server, String> {
    for (service, tls) in [
        ("_imaps._tcp", Tls::Implicit),
        ("_imap._tcp", Tls::StartTls),
    ] {
        let name = format!("{service}.{}", address.domain);
        let mut records = Vec::new();
        for data in ask(resolver, &name, RecordType::SRV).await {
            if let RData::SRV(srv) = data {
                let host = plain(&srv.target);
                records.push((srv.priority, srv.weight, host, srv.port));
            }
        }
        if let Some((host, port)) = chosen(records) {
            let known = providers::of_host(&host).map(providers::Provider::ways);
            let (secret, first) = known.unwrap_or((Secret::Password, ""));
            return Ok(Server {
                host,
                port,
                tls,
                user: None,
                secret,
                first,
                source: Source::Srv,
            });
        }
    }
    Err(format!(
        "DNS names none under _imaps._tcp.{}",
        address.domain
    ))
}

/// The provider that receives the domain's mail; the error says why none is known.
pub(super) async fn provider(
    resolver: &TokioResolver,
    address: &Address,
) -> Result<Server, String> {
    let data = ask(resolver, &address.domain, RecordType::MX).await;
    let exchangers: Vec<_> = data
        .iter()
        .filter_map(|data| match data {
            RData::MX(mx) => Some(plain(&mx.exchange)),
            _ => None,
        })
        .collect();
    match providers::of_exchangers(&exchangers) {
        Some(provider) => Ok(provider.server(Source::Exchanger(provider.name))),
        None => Err("its mail is received by no provider that is known here".to_owned()),
    }
}

/// Of the lowest priority the heaviest (RFC 2782). A target that is the root says that there is no such service.
fn chosen(mut records: Vec<(u16, u16, String, u16)>) -> Option<(String, u16)> {
    records.retain(|(_, _, host, port)| *port > 0 && is_host_name(host));
    records.sort_by_key(|&(priority, weight, ..)| (priority, std::cmp::Reverse(weight)));
    let (_, _, host, port) = records.into_iter().next()?;
    Some((host, port))
}

async fn ask(resolver: &TokioResolver, name: &str, kind: RecordType) -> Vec<RData> {
    // With the final dot: no search list is tried.
    let Ok(name) = Name::from_ascii(format!("{name}.")) else {
        return Vec::new();
    };
    match resolver.lookup(name, kind).await {
        Ok(lookup) => {
            let answers = lookup.answers().iter();
            answers.map(|record| record.data.clone()).collect()
        }
        Err(error) => {
            tracing::debug!(%error, "no answer about a domain's mail");
            Vec::new()
        }
    }
}

/// Without the final dot, in lower case.
fn plain(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::chosen;

    fn record(priority: u16, weight: u16, host: &str, port: u16) -> (u16, u16, String, u16) {
        (priority, weight, host.to_owned(), port)
    }

    #[test]
    fn the_lowest_priority_then_the_heaviest_counts_and_the_root_is_nobody() {
        let records = vec![
            record(10, 99, "backup.acme.example", 993),
            record(0, 1, "light.acme.example", 993),
            record(0, 5, "heavy.acme.example", 9930),
        ];
        let heavy = ("heavy.acme.example".to_owned(), 9930);
        assert_eq!(chosen(records), Some(heavy));
        assert_eq!(chosen(vec![record(0, 0, "", 0)]), None);
        assert_eq!(chosen(vec![record(0, 0, "", 993)]), None);
    }
}
