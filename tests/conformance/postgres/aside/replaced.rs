//! What a read model that is built aside replaces, and what it must not.

use eventsource_runtime::projection::{Claim, Partition};

use super::*;

/// What readers see, after some events; and how far.
async fn live(place: &Place) -> Position {
    let stream = a_stream();
    place.weigh(&stream, 2000).await;
    let last = place.weigh(&stream, 7).await;
    let projections = place.runner().spawn();
    projections.wait_for(last).await.unwrap();
    projections.shutdown().await.unwrap();
    last
}

/// What comes of building this projection aside.
async fn built(place: &Place, projection: Weights, last: Position) -> Result<(), String> {
    let runner = ProjectionRunner::new(place.store.clone()).projection(projection).max_retries(0);
    let projections = runner.lease(Duration::from_millis(500)).rebuild_aside().spawn();
    let waited = projections.wait_for(last).await.map_err(|stopped| format!("{stopped:?}"));
    projections.shutdown().await.map_err(|stopped| format!("{stopped:?}"))?;
    waited
}

/// As long as there is none of the name aside, the name means what readers see.
#[test]
fn a_set_up_that_drops_what_is_there_is_refused() {
    run(async {
        let place = Place::new().await;
        let last = live(&place).await;
        let (state, numbers) =
            (place.state().await, "SELECT sum('weights'::regclass::bigint + 'heavy'::regclass::bigint)::bigint");
        let before = place.count(numbers).await;
        for (drops, named) in [
            ("DROP VIEW IF EXISTS heavy", "heavy"),
            ("DROP VIEW IF EXISTS heavy; DROP TABLE IF EXISTS weights", "weights"),
            ("DROP TABLE IF EXISTS weights CASCADE", "weights"),
        ] {
            let refused =
                built(&place, Weights { before: drops.to_owned(), ..Weights::sound() }, last).await.unwrap_err();
            assert!(refused.contains("while it is built aside"), "{drops}: {refused}");
            assert!(refused.contains(&place.tables), "{drops}: {named}: {refused}");
            assert_eq!((place.state().await, place.count(numbers).await), (state.clone(), before), "{drops}");
        }
    });
}

/// Nobody else has seen it.
#[test]
fn a_set_up_may_drop_what_it_has_made() {
    run(async {
        let place = Place::new().await;
        let last = live(&place).await;
        let before = "DROP TABLE IF EXISTS nobody; CREATE TABLE sketch (a integer PRIMARY KEY); \
            ALTER TABLE sketch ALTER a TYPE bigint; DROP TABLE sketch; CREATE TEMPORARY TABLE passing (a integer); \
            DROP TABLE passing";
        built(&place, Weights { before: before.to_owned(), ..Weights::sound() }, last).await.unwrap();
        assert_eq!(place.state().await.0.len(), 1);
    });
}

/// Elsewhere a table may have the name of one of the store's.
#[test]
fn the_stores_own_tables_are_not_replaced() {
    run(async {
        let schema = services::a_schema();
        let (together, apart) = (Place::at(schema.clone(), schema).await, Place::new().await);
        for name in ["events", "snapshots", "projection_partitions", "projection_dead_letters", "eventsource_schema"] {
            let last = together.weigh(&a_stream(), 7).await;
            let projection = || Weights { after: format!("CREATE TABLE {name} (a integer)"), ..Weights::sound() };
            // The projection's own set-up where nothing is aside yet would fail.
            let sound = together.runner().spawn();
            sound.wait_for(last).await.unwrap();
            sound.shutdown().await.unwrap();
            let refused = built(&together, projection(), last).await.unwrap_err();
            assert!(refused.contains("the store itself") && refused.contains(name), "{name}: {refused}");
        }
        let last = live(&apart).await;
        let projection = Weights { after: "CREATE TABLE snapshots (a integer)".to_owned(), ..Weights::sound() };
        built(&apart, projection, last).await.unwrap();
        assert_eq!(apart.count("SELECT count(*) FROM snapshots").await, 0, "it is in its place");
    });
}

/// Whoever has set it counts on it.
#[test]
fn what_was_set_for_the_old_tables_is_not_lost_without_a_word() {
    run(async {
        let place = Place::new().await;
        let last = live(&place).await;
        let tables = &place.tables;
        let mark = "UPDATE weights SET sum = -1";
        let trigger = "CREATE TRIGGER keeps BEFORE UPDATE ON weights FOR EACH ROW \
            EXECUTE FUNCTION suppress_redundant_updates_trigger()";
        for (set, unset, named) in [
            (
                "ALTER TABLE weights ENABLE ROW LEVEL SECURITY",
                "ALTER TABLE weights DISABLE ROW LEVEL SECURITY",
                "row level",
            ),
            ("CREATE POLICY all_of_them ON weights USING (true)", "DROP POLICY all_of_them ON weights", "all_of_them"),
            (trigger, "DROP TRIGGER keeps ON weights", "keeps"),
            (
                &*format!("CREATE PUBLICATION {tables} FOR TABLE weights"),
                &*format!("DROP PUBLICATION {tables}"),
                "in the publication",
            ),
        ] {
            place.raw.batch_execute(&format!("{mark}; {set}")).await.unwrap();
            let refused = built(&place, Weights::sound(), last).await.unwrap_err();
            assert!(refused.contains("would lose") && refused.contains(named), "{set}: {refused}");
            assert_eq!(place.count("SELECT count(*) FROM weights WHERE sum = -1").await, 1, "{set}");
            if set == trigger {
                // The new one has it as well.
                built(&place, Weights { after: trigger.to_owned(), ..Weights::sound() }, last).await.unwrap();
            }
            place.raw.batch_execute(unset).await.unwrap();
        }
        built(&place, Weights::sound(), last).await.unwrap();
        assert_eq!(place.count("SELECT count(*) FROM weights WHERE sum = -1").await, 0);
    });
}

/// It was found when all was built, "stopped after position 0", and what it was nobody told.
#[test]
fn what_depends_on_the_old_tables_is_named_before_the_new_ones_are_filled() {
    run(async {
        let place = Place::new().await;
        let last = live(&place).await;
        place.raw.batch_execute("UPDATE weights SET sum = -1").await.unwrap();
        for (made, dropped, named) in [
            ("CREATE VIEW report AS SELECT stream FROM heavy", "DROP VIEW report", "view report"),
            ("CREATE VIEW report AS SELECT sum FROM weights", "DROP VIEW report", "view report"),
            (
                "CREATE TABLE notes (weight integer CONSTRAINT of_weight REFERENCES weights)",
                "DROP TABLE notes",
                "constraint of_weight on table notes",
            ),
        ] {
            place.raw.batch_execute(made).await.unwrap();
            // An event that would stop the build, if it came so far.
            let projection = Weights { elsewhere: Some("nowhere".to_owned()), ..Weights::sound() };
            let refused = built(&place, projection, last).await.unwrap_err();
            assert!(refused.contains("depends on it") && refused.contains(named), "{made}: {refused}");
            assert!(refused.contains(&format!("stopped after position {last}")), "{made}: {refused}");
            assert_eq!(place.count("SELECT count(*) FROM weights WHERE sum = -1").await, 1, "{made}");
            place.raw.batch_execute(dropped).await.unwrap();
        }
        built(&place, Weights::sound(), last).await.unwrap();
        assert_eq!(place.count("SELECT count(*) FROM weights WHERE sum = -1").await, 0);
    });
}

/// One of the columns is not there any more.
#[test]
fn grants_on_columns_and_sequences_come_along() {
    run(async {
        let place = Place::new().await;
        let last = live(&place).await;
        let grants = "ALTER TABLE weights ADD COLUMN extra text; GRANT SELECT (stream, extra), UPDATE (sum) ON weights TO PUBLIC; \
            GRANT USAGE ON SEQUENCE weights_id_seq TO PUBLIC";
        place.raw.batch_execute(grants).await.unwrap();
        built(&place, Weights::sound(), last).await.unwrap();
        let columns = "SELECT count(*) FROM pg_attribute, aclexplode(attacl) WHERE attrelid = 'weights'::regclass \
            AND grantee = 0 AND (attname, privilege_type) IN (('stream', 'SELECT'), ('sum', 'UPDATE'))";
        assert_eq!(place.count(columns).await, 2);
        let sequence = "SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = 'weights_id_seq'::regclass \
            AND grantee = 0 AND privilege_type = 'USAGE'";
        assert_eq!(place.count(sequence).await, 1);
    });
}

/// As when the commit's answer was lost.
#[test]
fn a_swap_that_is_tried_again_is_made_once() {
    run(async {
        let place = Place::new().await;
        live(&place).await;
        let aside = place.store.open_aside("Weights").await.unwrap();
        aside.open_projection(Arc::new(Weights::sound()), 1, Position::START).await.unwrap();
        let claim = Claim::new(Uuid::now_v7(), "a test", Duration::from_mins(1));
        let token = claim.token;
        let lease = place.store.lease_projection(Partition::whole("Weights"), claim.by_force()).await.unwrap();
        assert!(lease.taken.is_none());
        for _ in 0..2 {
            place.store.swap_aside("Weights", aside.clone(), token).await.unwrap();
            assert_eq!(place.state().await.0.len(), 0, "the empty one is in its place");
        }
        let refused = place.store.swap_aside("Weights", aside.clone(), Uuid::now_v7()).await.unwrap_err();
        assert!(refused.to_string().contains("lease"), "{refused}");
    });
}
