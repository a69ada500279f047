//! `[expect]`: what must be true of each population at the end.

use super::super::at::Named;
use super::super::file::{
    BystandersFile, CloseWithinFile, DeliveryFile, ExpectFile, PopulationExpectFile,
    QueueAtCloseFile, SinceFile,
};
use super::super::plan::{Claim, Destination, Expectation, Population, Quantity, Senders, Traffic};
use super::super::problem::{Place, Problem, list, suggestion};
use super::super::units::{Amount, Bound, Factor, Lasting};
use super::possible::{Situation, connects_again, reconnects};
use super::roster::Member;
use super::{At, Context};
use crate::event::REFUSAL_CHARS_MAX;
use crate::measure::summary::Since;
use crate::protocol::subprotocol::{MessageFrom, Payload, ServerFrame};
use crate::protocol::{CloseCategory, CloseCode, Subprotocol};

/// Everything that is expected, in file order, bystanders last.
pub(super) fn all(
    context: &Context<'_>,
    file: &ExpectFile,
    situation: &Situation<'_>,
) -> Vec<Expectation> {
    let mut all = Vec::new();
    let mut with_closes = Vec::new();
    for (name, at) in &file.populations {
        let Some(index) = population(context, name) else { continue };
        let (Some(expected), Some(Some(population))) = (at.get(), situation.populations.get(index))
        else {
            continue;
        };
        let Ok(index16) = u16::try_from(index) else { continue };
        if expected.closes.is_some() {
            with_closes.push(index16);
        }
        let one = One {
            context,
            situation,
            member: &context.roster.0[index],
            population,
            index: index16,
            out: &mut all,
        };
        one.read(expected);
    }
    if file
        .bystanders
        .as_ref()
        .is_some_and(|at| matches!(at.get(), Some(BystandersFile::Untouched)))
    {
        all.extend(bystanders(situation, &with_closes));
    }
    all
}

/// Claims, which stand under a population and never beside one.
const CLAIMS: [&str; 12] = [
    "closes",
    "close_within",
    "refused",
    "refused_body",
    "close_codes",
    "opens",
    "recovered",
    "amplification",
    "delivery",
    "replies",
    "queue_at_close",
    "steady",
];

/// The population that an entry of `[expect]` is about.
fn population(context: &Context<'_>, at: &At<String>) -> Option<usize> {
    let name = at.get()?;
    let is_population = context.roster.0.iter().any(|member| member.name == *name);
    if CLAIMS.contains(&name.as_str()) && !is_population {
        context.push(
            Problem::new(at.place, format!("`{name}` is claimed of nobody"))
                .label("expected the name of a population, or `bystanders`")
                .help(format!("claims stand under a population: [expect.NAME], {name} = …")),
        );
        return None;
    }
    context.roster.find(at, context.problems)
}

/// Well-behaved, not addressed by a fault, and without `closes` of their own: all leave in order.
fn bystanders(situation: &Situation<'_>, with_closes: &[u16]) -> Vec<Expectation> {
    let numbered = (0_u16..).zip(situation.populations);
    let bystanders = numbered.filter_map(|(index, population)| {
        let population = population.as_ref()?;
        let is_bystander = population.is_well_behaved()
            && !situation.is_addressed(index, population)
            && !with_closes.contains(&index);
        let everybody = Quantity::exactly(u64::from(population.count));
        let in_order = match population.churn {
            Some(_) => Quantity { at_most: u64::MAX, ..everybody },
            None => everybody,
        };
        is_bystander.then(|| Expectation {
            population: index,
            claim: Claim::Closes(vec![(CloseCategory::Normal, in_order)]),
            path: "expect.bystanders".to_owned(),
        })
    });
    bystanders.collect()
}

/// Reads what is expected of one population.
struct One<'a> {
    context: &'a Context<'a>,
    situation: &'a Situation<'a>,
    member: &'a Member,
    population: &'a Population,
    index: u16,
    out: &'a mut Vec<Expectation>,
}

impl One<'_> {
    fn claim(&mut self, claim: Claim, path: &str) {
        let path = path.to_owned();
        self.out.push(Expectation { population: self.index, claim, path });
    }

    fn read(mut self, file: &PopulationExpectFile) {
        let closes = file.closes.as_ref().map(|at| (at, self.closes(at)));
        if let Some((at, Some(closes))) = &closes {
            self.claim(Claim::Closes(closes.clone()), &at.path);
        }
        let closes = closes.and_then(|(_, closes)| closes);
        if let Some(at) = &file.close_within {
            self.close_within(at, closes.as_deref());
        }
        if let Some(at) = &file.refused
            && let Some(refused) = self.refused(at)
        {
            self.claim(Claim::Refused(refused), &at.path);
        }
        if let Some(at) = &file.refused_body {
            self.refused_body(at);
        }
        if let Some(at) = &file.close_codes
            && let Some(codes) = self.close_codes(at)
        {
            self.claim(Claim::CloseCodes(codes), &at.path);
        }
        if let Some(at) = &file.opens
            && let Some(opens) = self.opens(at)
        {
            self.claim(Claim::Opens(opens), &at.path);
        }
        if let Some(at) = &file.recovered
            && let Some(recovered) = self.recovered(at)
        {
            self.claim(Claim::Recovered(recovered), &at.path);
        }
        if let Some(at) = &file.amplification {
            self.amplification(at);
        }
        if let Some(at) = &file.delivery
            && matches!(at.get(), Some(DeliveryFile::Complete))
            && self.needs_traffic(at.place, "there is nothing to be delivered")
        {
            self.claim(Claim::DeliveryComplete, &at.path);
        }
        if let Some(at) = &file.replies
            && matches!(at.get(), Some(DeliveryFile::Complete))
            && self.needs_echoes(at.place)
        {
            self.claim(Claim::RepliesComplete, &at.path);
        }
        if let Some(at) = &file.queue_at_close {
            self.queue_at_close(at, closes.as_deref());
        }
        if let Some(at) = &file.steady {
            self.steady(at);
        }
    }

    /// A quantity in connections, from the share or count that the file says.
    fn quantity(&self, amount: Amount, place: Place) -> Option<Quantity> {
        let is_absolute =
            |bound: Option<Bound>| matches!(bound, Some(Bound::Count(count)) if count > 0);
        if self.member.is_rescaled()
            && (is_absolute(amount.at_least) || is_absolute(amount.at_most))
        {
            let written = self.member.written.unwrap_or_default();
            self.context.push(
                Problem::new(
                    place,
                    format!(
                        "`{}` has {} clients now instead of {written}, but this counts clients",
                        self.member.name, self.member.count
                    ),
                )
                .label("expected a share, which scales: \"all\", \"15%\", \">=90%\"")
                .also(self.member.count_place, self.member.note("the count"))
                .help("or let the count be the point, and -n leave it alone: scaling = \"fixed\""),
            );
            return None;
        }
        let clients = self.member.count;
        let exact = amount.at_least == amount.at_most;
        let quantity = Quantity {
            at_least: amount.at_least.map_or(0, |bound| lower(bound, clients, exact)),
            at_most: amount.at_most.map_or(u64::MAX, |bound| upper(bound, clients, exact)),
        };
        if quantity.at_least > quantity.at_most {
            self.context.push(
                Problem::new(place, "no number is in this range")
                    .label(format!("at least {}, at most {}", quantity.at_least, quantity.at_most)),
            );
            return None;
        }
        Some(quantity)
    }

    /// A quantity of connections that open or end in order. Where clients churn, each has any
    /// number of them: a share of the clients is then the least there can be.
    fn of_connections(&self, quantity: Quantity, amount: &At<Amount>) -> Quantity {
        let is_share = amount.get().is_some_and(|amount| {
            amount.at_least == amount.at_most && matches!(amount.at_most, Some(Bound::Share(_)))
        });
        if is_share && self.population.churn.is_some() {
            return Quantity { at_most: u64::MAX, ..quantity };
        }
        quantity
    }

    fn closes(&self, at: &At<Named<Amount>>) -> Option<Vec<(CloseCategory, Quantity)>> {
        let mut closes = Vec::new();
        for (name, amount) in &at.get()?.0 {
            let category = self.category(name);
            let quantity = amount.get().and_then(|&written| self.quantity(written, amount.place));
            let (Some(category), Some(quantity)) = (category, quantity) else { continue };
            let quantity = match category {
                CloseCategory::Normal => self.of_connections(quantity, amount),
                _ => quantity,
            };
            let why_not = self.situation.why_not(category, self.index, self.population);
            if let Some(why) = why_not.filter(|_| quantity.at_least > 0) {
                self.context.push(
                    Problem::new(
                        name.place,
                        format!("`{}` cannot end with {category}", self.member.name),
                    )
                    .label(why),
                );
            }
            closes.push((category, quantity));
        }
        self.check_sum(at, &closes);
        Some(closes)
    }

    fn category(&self, at: &At<String>) -> Option<CloseCategory> {
        let name = at.get()?;
        let found = CloseCategory::ALL.into_iter().find(|category| category.name() == name);
        if found.is_none() {
            let names = CloseCategory::ALL.map(CloseCategory::name);
            self.context.push(
                Problem::new(at.place, format!("there is no close category `{name}`"))
                    .label("expected the service's own word")
                    .maybe_help(suggestion(name, names)),
            );
        }
        found
    }

    /// Without reconnecting, every client has exactly one connection, or one refusal.
    fn check_sum(&self, at: &At<Named<Amount>>, closes: &[(CloseCategory, Quantity)]) {
        if connects_again(self.population)
            || at.get().is_some_and(|named| named.0.len() != closes.len())
        {
            return;
        }
        let clients = u64::from(self.member.count);
        let least: u64 = closes.iter().map(|(_, quantity)| quantity.at_least).sum();
        let most = closes.iter().fold(0_u64, |sum, (_, q)| sum.saturating_add(q.at_most));
        let (title, help) = if least > clients {
            (
                format!("{least} ends are expected of {clients} clients that do not reconnect"),
                "each of them has one end; lower the numbers, or let them reconnect",
            )
        } else if most < clients {
            (
                format!("{most} ends are expected of {clients} clients: the others are left out"),
                "the list is whole: what is not in it does not occur; add Normal, say",
            )
        } else {
            return;
        };
        self.context.push(
            Problem::new(at.place, title)
                .label(format!("expected categories for {clients} in all"))
                .also(self.member.count_place, self.member.note("the clients"))
                .help(help),
        );
    }

    /// The category that a claim about drops is about.
    fn drop_category(
        &self,
        place: Place,
        closes: Option<&[(CloseCategory, Quantity)]>,
    ) -> Option<CloseCategory> {
        let drops: Vec<CloseCategory> = closes?
            .iter()
            .filter(|(category, quantity)| category.is_drop() && quantity.at_most > 0)
            .map(|(category, _)| *category)
            .collect();
        match drops.as_slice() {
            [only] => Some(*only),
            [] => {
                self.context.push(
                    Problem::new(place, "it is not clear which drops this window is of")
                        .label("expected `category`, as `closes` lists no drop"),
                );
                None
            }
            several => {
                let names = list(several.iter().map(|category| category.name()));
                self.context.push(
                    Problem::new(place, "it is not clear which drops this window is of")
                        .label(format!("expected `category`, as `closes` lists {names}")),
                );
                None
            }
        }
    }

    fn close_within(
        &mut self,
        at: &At<CloseWithinFile>,
        closes: Option<&[(CloseCategory, Quantity)]>,
    ) {
        let Some(file) = at.get() else { return };
        let category = match &file.category {
            Some(category) => category.get().copied(),
            None => self.drop_category(at.place, closes.or(Some(&[]))),
        };
        let since = file.after.get().map(|since| self.since(*since, file.after.place));
        let (Some(&Lasting(from)), Some(&Lasting(to))) = (file.from.get(), file.to.get()) else {
            return;
        };
        if to <= from {
            self.context.push(
                Problem::new(file.to.place, "the window ends before it starts")
                    .label(format!("expected more than {from:?}"))
                    .also(file.from.place, "its start"),
            );
        }
        if let (Some(category), Some(since)) = (category, since) {
            self.claim(Claim::CloseWithin { category, since, from, to }, &at.path);
        }
    }

    fn since(&self, since: SinceFile, place: Place) -> Since {
        let impossible = match since {
            SinceFile::Behaviour if self.population.is_well_behaved() => {
                Some("these clients do nothing wrong")
            }
            SinceFile::Fault if self.situation.faults.is_empty() => Some("there are no faults"),
            _ => None,
        };
        if let Some(why) = impossible {
            self.context.push(
                Problem::new(place, "there is nothing to count from")
                    .label(why)
                    .help("count from `open` or `last_life`"),
            );
        }
        match since {
            SinceFile::LastLife => Since::LastLife,
            SinceFile::Open => Since::Open,
            SinceFile::Behaviour => Since::Behaviour,
            SinceFile::Fault => Since::Fault,
        }
    }

    /// Attempts by HTTP status, of which each client without reconnecting has one.
    fn refused(&self, at: &At<Named<Amount>>) -> Option<Vec<(u16, Quantity)>> {
        let mut refused = Vec::new();
        for (name, amount) in &at.get()?.0 {
            let status = self.status(name);
            let quantity = amount.get().and_then(|&written| self.quantity(written, amount.place));
            let (Some(status), Some(quantity)) = (status, quantity) else { continue };
            let clients = u64::from(self.member.count);
            if quantity.at_least > clients && !connects_again(self.population) {
                let least = quantity.at_least;
                self.context.push(
                    Problem::new(
                        amount.place,
                        format!("{least} refusals are expected of {clients} clients"),
                    )
                    .label("expected at most one each, as they do not reconnect")
                    .help("give the population a `reconnect` policy"),
                );
            }
            refused.push((status, quantity));
        }
        Some(refused)
    }

    /// Bodies by HTTP status, of which a client keeps no more than their start.
    fn refused_body(&mut self, at: &At<Named<String>>) {
        let mut bodies = Vec::new();
        for (name, body) in at.get().map_or(&[][..], |named| &named.0) {
            let (Some(status), Some(text)) = (self.status(name), body.get()) else { continue };
            let length = text.chars().count();
            if length >= REFUSAL_CHARS_MAX {
                self.context.push(
                    Problem::new(body.place, format!("`{}` is too long", body.path)).label(
                        format!("expected less than {REFUSAL_CHARS_MAX} characters, not {length}"),
                    ),
                );
            }
            bodies.push((status, text.clone()));
        }
        self.claim(Claim::RefusedBody(bodies), &at.path);
    }

    fn close_codes(&self, at: &At<Named<Amount>>) -> Option<Vec<(CloseCode, Quantity)>> {
        let mut codes = Vec::new();
        for (name, amount) in &at.get()?.0 {
            let code = self.close_code(name);
            let quantity = amount.get().and_then(|&written| self.quantity(written, amount.place));
            codes.extend(code.zip(quantity));
        }
        Some(codes)
    }

    fn close_code(&self, at: &At<String>) -> Option<CloseCode> {
        let name = at.get()?;
        let code = name.parse().ok().filter(|code| (1000..=4999).contains(code));
        if code.is_none() {
            self.context.push(
                Problem::new(at.place, format!("{} closes nothing", at.place.show(name)))
                    .label("expected a close code from 1000 to 4999"),
            );
        }
        code
    }

    fn status(&self, at: &At<String>) -> Option<u16> {
        let name = at.get()?;
        let status = name.parse().ok().filter(|status| (300..=599).contains(status));
        if status.is_none() {
            self.context.push(
                Problem::new(at.place, format!("{} refuses nobody", at.place.show(name)))
                    .label("expected an HTTP status from 300 to 599"),
            );
        }
        status
    }

    fn opens(&self, at: &At<Amount>) -> Option<Quantity> {
        let opens = self.of_connections(self.quantity(*at.get()?, at.place)?, at);
        let clients = u64::from(self.member.count);
        if opens.at_least > clients && !connects_again(self.population) {
            self.context.push(
                Problem::new(
                    at.place,
                    format!("{} opens are expected of {clients} clients", opens.at_least),
                )
                .label("expected at most one each, as they do not reconnect")
                .help("give the population a `reconnect` policy"),
            );
        }
        Some(opens)
    }

    fn needs_reconnect(&self, place: Place) {
        if !reconnects(self.population) {
            self.context.push(
                Problem::new(place, format!("`{}` does not reconnect", self.member.name))
                    .label("expected nothing about recovery here")
                    .help("give the population a `reconnect` policy"),
            );
        }
    }

    fn recovered(&self, at: &At<Amount>) -> Option<Quantity> {
        let recovered = self.quantity(*at.get()?, at.place)?;
        let clients = u64::from(self.member.count);
        if recovered.at_least > clients {
            self.context.push(
                Problem::new(at.place, "more clients come back than there are")
                    .label(format!("expected at most {clients}: clients are counted once")),
            );
        }
        if recovered.at_least > 0 {
            self.needs_reconnect(at.place);
        }
        Some(recovered)
    }

    fn amplification(&mut self, at: &At<Factor>) {
        let Some(&Factor(at_most)) = at.get() else { return };
        self.needs_reconnect(at.place);
        if at_most < 1.0 {
            self.context.push(
                Problem::new(at.place, "nobody comes back with less than one attempt")
                    .label("expected at least 1: attempts per dropped client"),
            );
        }
        self.claim(Claim::Amplification { at_most }, &at.path);
    }

    fn needs_traffic(&self, place: Place, why: &str) -> bool {
        let has_traffic = self.situation.has_traffic(self.population);
        if !has_traffic {
            self.context.push(
                Problem::new(
                    place,
                    format!("no traffic goes to a group of `{}`", self.member.name),
                )
                .label(why)
                .help("add it to the group that traffic goes `to`, or add traffic"),
            );
        }
        has_traffic
    }

    fn needs_echoes(&self, place: Place) -> bool {
        let own = |traffic: &&Traffic| traffic.is_from(self.index);
        let mut own = self.situation.traffic.iter().filter(own);
        let has_echoes = own.any(Traffic::demands_replies);
        if !has_echoes {
            let name = &self.member.name;
            self.context.push(
                Problem::new(place, format!("no event of `{name}` is to come back"))
                    .label("so there are no replies to expect")
                    .help("say so where the events are sent: reply = \"echo\""),
            );
        }
        has_echoes
    }

    fn queue_at_close(
        &mut self,
        at: &At<QueueAtCloseFile>,
        closes: Option<&[(CloseCategory, Quantity)]>,
    ) {
        let Some(QueueAtCloseFile::JustOverLimit) = at.get() else { return };
        let category = CloseCategory::SlowClient;
        let listed = closes.is_none_or(|closes| {
            closes.iter().any(|(listed, quantity)| *listed == category && quantity.at_most > 0)
        });
        if !listed {
            self.context.push(
                Problem::new(at.place, "only a SlowClient is over the queue's limit")
                    .label("but `closes` does not list SlowClient"),
            );
        }
        let is_echoed =
            |traffic: &Traffic| traffic.is_from(self.index) && traffic.demands_replies();
        if self.situation.traffic.iter().any(is_echoed)
            || self.needs_traffic(at.place, "so nothing fills their queues")
        {
            let (above, at_most) = self.just_over_limit();
            let claim = Claim::QueueAtCloseJustOverLimit { category, above, at_most };
            self.claim(claim, &at.path);
        }
    }

    /// Bytes of a queue that is one frame past the limit which is met first: more than the first,
    /// at most the second. Of the messages past a limit of messages one may be half written.
    fn just_over_limit(&self) -> (u64, u64) {
        let limit = self.situation.hub.queue;
        let traffic = self.situation.traffic.iter();
        let mine = traffic.filter(|traffic| {
            traffic.reaches(self.population)
                || (traffic.is_from(self.index) && traffic.demands_replies())
        });
        let frames: Vec<_> = mine.flat_map(|traffic| self.frame_bytes(traffic)).collect();
        let least = frames.iter().min().copied().unwrap_or_default();
        let most = frames.iter().max().copied().unwrap_or_default();
        let full = most.saturating_mul(limit.messages.saturating_add(1));
        let above = limit.bytes.min(least.saturating_mul(limit.messages));
        (above, limit.bytes.min(full).saturating_add(most))
    }

    /// Bytes of a traffic's messages to the population as they stand on the wire: from the sender
    /// with the shortest user id, and from the one with the longest.
    fn frame_bytes(&self, traffic: &Traffic) -> [u64; 2] {
        let size = usize::try_from(traffic.size).unwrap_or(usize::MAX);
        let [first, last] = self.users(&traffic.from);
        [first, last].map(|from_user_id| {
            let payload = match self.population.protocol {
                Subprotocol::Simple => size,
                Subprotocol::Json => {
                    let from = match traffic.to {
                        Destination::Group(group) => {
                            let group = self.context.groups.get(group as usize);
                            let group = group.cloned().unwrap_or_default();
                            MessageFrom::Group { group, from_user_id }
                        }
                        Destination::Rooms(rooms) => {
                            let (name, members) = (&self.population.name, rooms.members);
                            let last = self.population.count / members.max(1);
                            let group = format!("{name}/{members}/{last}");
                            MessageFrom::Group { group, from_user_id }
                        }
                        Destination::Event { .. }
                        | Destination::Users { .. }
                        | Destination::Everybody => MessageFrom::Server,
                    };
                    let payload = Payload::Text(".".repeat(size));
                    ServerFrame::Message { from, payload }.print().len()
                }
            } as u64;
            payload + websocket_header(payload)
        })
    }

    /// The user ids of the first and the last sender.
    fn users(&self, from: &Senders) -> [Option<String>; 2] {
        use super::super::plan::UserPolicy;
        let &Senders::Clients { population, first, count } = from else { return [None, None] };
        let found = self.situation.populations.get(usize::from(population));
        let Some(population) = found.and_then(Option::as_ref) else { return [None, None] };
        [first, first + count - 1].map(|index| match &population.user {
            UserPolicy::Anonymous => None,
            UserPolicy::Shared(user) => Some(user.clone()),
            UserPolicy::PerClient => Some(format!("{}-{index}", population.name)),
        })
    }

    fn steady(&mut self, at: &At<super::super::file::SteadyFile>) {
        let Some(file) = at.get() else { return };
        self.needs_traffic(at.place, "so there is no message latency to compare");
        if !self.situation.has_later_trouble() {
            self.context.push(
                Problem::new(at.place, "there is no before and after to compare")
                    .label("expected a fault, or a behaviour that begins later than the start")
                    .help("give a behaviour a `from`"),
            );
        }
        let (Some(&Factor(ratio)), Some(&Lasting(or_delta))) =
            (file.ratio.get(), file.or_delta.get())
        else {
            return;
        };
        self.claim(Claim::Steady { ratio, or_delta }, &at.path);
    }
}

/// Bytes of an unmasked websocket frame header before so much payload (RFC 6455, 5.2).
const fn websocket_header(payload: u64) -> u64 {
    match payload {
        0..=125 => 2,
        126..=65_535 => 4,
        _ => 10,
    }
}

/// Clients that a share makes, before rounding, with the noise of decimal fractions taken off.
fn part(share: f64, clients: u32) -> f64 {
    (share * f64::from(clients) * 1e6).round() / 1e6
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0, and small")]
pub(super) fn lower(bound: Bound, clients: u32, exact: bool) -> u64 {
    match bound {
        Bound::Count(count) => count,
        Bound::Share(share) if exact => part(share, clients).round() as u64,
        Bound::Share(share) => part(share, clients).ceil() as u64,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0, and small")]
pub(super) fn upper(bound: Bound, clients: u32, exact: bool) -> u64 {
    match bound {
        Bound::Count(count) => count,
        Bound::Share(share) if exact => part(share, clients).round() as u64,
        Bound::Share(share) => part(share, clients).floor() as u64,
    }
}
