//! The span and the metrics of a command.

use std::cell::LazyCell;
use std::time::Duration;

use uuid::Uuid;

use super::error::DispatchError;
use super::json::{COMMANDS, Switches};
use super::{Committed, Context};
use crate::domain::{Aggregate, AnyCommand, Handlers};
use crate::repository::{Progress, Repository};
use crate::snapshot::SnapshotStore;
use crate::store::EventStore;
use crate::telemetry::log::Failed;
use crate::telemetry::{Chain, Kind, Span, Start, Unanswered, error_text, guarded_by_type, log, metrics, names, shown};

/// The result of a command of that aggregate.
pub(super) type Handled<A> = Result<Committed, DispatchError<<A as Aggregate>::Error>>;

/// Handles a command, in its span.
pub(super) async fn handle<A: Handlers, S: EventStore + SnapshotStore>(
    repository: &Repository<A, S, A::Services>,
    command: &dyn AnyCommand<A>,
    context: &Context,
    switches: Switches,
) -> Handled<A> {
    let begun = metrics::begun(switches.metrics);
    let span = command_span(command, switches);
    let mut progress = Progress::of(&span, !switches.metrics || begun.is_some());
    let names = (command.name(), command.span());
    let unanswered = Unanswered::new(|error_type| COMMANDS.unanswered(names, &span, begun, error_type));
    let result = span.run(repository.handle(command, context, &mut progress)).await;
    unanswered.answered();
    end((command, context.command_id), span, &result, &progress, begun.map(|begun| begun.elapsed()));
    result
}

fn command_span<A: Handlers>(command: &dyn AnyCommand<A>, switches: Switches) -> Span {
    Start::new(command.span(), Kind::Internal, || switches.tracing).room(12).begin(
        &mut |known| {
            known.text(names::CQRS_SIDE, "write");
            known.text(names::CQRS_COMMAND_TYPE, command.name());
            known.text(names::EVENTSOURCE_AGGREGATE_TYPE, A::NAME);
            known.string(names::EVENTSOURCE_AGGREGATE_ID, command.id().to_string());
        },
        &mut |user| {
            guarded_by_type(|| command.attributes(user));
        },
    )
}

/// `id` is the one that the command came with; `metered` is how long it took, if that is measured.
fn end<A: Handlers>(
    (command, id): (&dyn AnyCommand<A>, Option<Uuid>),
    span: Span,
    result: &Handled<A>,
    progress: &Progress,
    metered: Option<Duration>,
) {
    let name = command.name();
    // Lazy: for a refusal it takes formatting, and if everything is off nobody asks.
    let error_type = LazyCell::new(|| result.as_ref().err().map(DispatchError::error_type));
    let status = match result {
        Ok(_) => "success",
        Err(DispatchError::Rejected(_)) => "rejected",
        Err(_) => "error",
    };
    span.record(&mut |later| {
        later.text(names::CQRS_COMMAND_STATUS, status);
        later.number(names::EVENTSOURCE_RETRY_COUNT, progress.retries.into());
        if let Ok(committed) = result {
            later.number(names::CQRS_EVENTS_COUNT, committed.events);
            // If an earlier command with this id appended the events, their names are not known.
            if !committed.repeated {
                later.texts(names::EVENTSOURCE_EVENT_TYPES, &mut progress.type_names());
            }
            later.number(names::EVENTSOURCE_VERSION, committed.version.get());
        }
        if let ("rejected", Some(error_type)) = (status, &*error_type) {
            later.string(names::ERROR_TYPE, &**error_type);
        }
    });
    let aggregate = || shown(command.id());
    span.in_scope(|| {
        if let Err(DispatchError::Rejected(refusal)) = result {
            let error_type = || error_type.as_deref().unwrap_or_default();
            log::command_rejected(name, &aggregate, &error_type, &|| error_text(&Chain(refusal)));
        }
        if let Some(elapsed) = metered {
            let ended = metrics::Ended { name, status, error_type: error_type.as_deref(), elapsed };
            metrics::command(&ended, result.as_ref().map_or(0, Committed::appended), Some(&aggregate));
        }
    });
    // A refusal is the domain's decision: the span carries its name but no status.
    match result {
        Err(error) if error.is_outdated() => {
            span.conflict(names::LOG_COMMAND, "conflict", &Chain(error));
        }
        Err(error) if !error.is_rejected() => {
            // Of a failed command a client may know no more than what its id was made from.
            let aggregate = aggregate();
            let failed = Failed::new(names::LOG_COMMAND, command.span()).about(&aggregate, id);
            span.fail(failed, error.error_type(), &Chain(error));
        }
        _ => span.succeed(),
    }
}

/// Reports a command for whose aggregate the bus has no repository.
pub(super) fn no_handler<A: Handlers>(command: &dyn AnyCommand<A>, switches: Switches) -> DispatchError<A::Error> {
    let (span, name) = (command_span(command, switches), command.name());
    let error = DispatchError::NoHandler { command: name };
    COMMANDS.end_refused(span, (name, command.span()), name, error.error_type(), switches);
    error
}
