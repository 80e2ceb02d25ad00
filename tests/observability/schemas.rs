//! Files for which there is no schema to hold them against: the keys that their readers know, and what they refer to.

use serde_json::Value;

use crate::yaml;

/// A map in a file: where it stands, which keys it may have, and which of them it must have. Of a component's name the
/// kind alone counts: `otlp/jaeger` is `otlp`. `*` stands for any name.
type Map = (&'static str, &'static str, &'static str);

/// The fields of the Collector's configuration in its version 0.115: those of the structures called `Config`,
/// `ClientConfig` and `ServerConfig` in the components, in `config/configgrpc`, `confighttp`, `configtls` and
/// `service`.
const COLLECTOR: [Map; 18] = [
    ("", "receivers processors exporters connectors extensions service", "receivers exporters service"),
    ("receivers", "otlp", "otlp"),
    ("receivers.otlp", "protocols", "protocols"),
    ("receivers.otlp.protocols", "grpc http", ""),
    (
        "receivers.otlp.protocols.grpc",
        "endpoint transport dialer tls max_recv_msg_size_mib max_concurrent_streams read_buffer_size write_buffer_size \
         keepalive auth include_metadata",
        "endpoint",
    ),
    (
        "receivers.otlp.protocols.http",
        "endpoint tls cors auth max_request_body_size include_metadata response_headers compression_algorithms \
         read_timeout read_header_timeout write_timeout idle_timeout traces_url_path metrics_url_path logs_url_path",
        "endpoint",
    ),
    ("processors", "memory_limiter resource batch", ""),
    (
        "processors.memory_limiter",
        "check_interval limit_mib spike_limit_mib limit_percentage spike_limit_percentage",
        "check_interval limit_mib",
    ),
    ("processors.resource", "attributes", "attributes"),
    (
        "processors.resource.attributes",
        "key value pattern from_attribute from_context converted_type action",
        "key action",
    ),
    ("processors.batch", "timeout send_batch_size send_batch_max_size metadata_keys metadata_cardinality_limit", ""),
    ("exporters", "otlp otlphttp debug", ""),
    (
        "exporters.otlp",
        "endpoint compression tls keepalive read_buffer_size write_buffer_size wait_for_ready headers balancer_name \
         authority auth timeout sending_queue retry_on_failure batcher",
        "endpoint",
    ),
    (
        "exporters.otlp.tls",
        "ca_file ca_pem include_system_ca_certs_pool cert_file cert_pem key_file key_pem min_version max_version \
         cipher_suites reload_interval insecure insecure_skip_verify server_name_override",
        "",
    ),
    (
        "exporters.otlphttp",
        "endpoint proxy_url tls read_buffer_size write_buffer_size timeout headers auth compression max_idle_conns \
         max_idle_conns_per_host max_conns_per_host idle_conn_timeout disable_keep_alives http2_read_idle_timeout \
         http2_ping_timeout cookies sending_queue retry_on_failure traces_endpoint metrics_endpoint logs_endpoint encoding",
        "endpoint",
    ),
    ("exporters.debug", "verbosity sampling_initial sampling_thereafter use_internal_logger", ""),
    ("service", "telemetry extensions pipelines", "pipelines"),
    ("service.pipelines", "traces metrics logs", ""),
];
const PIPELINE: Map = ("service.pipelines.*", "receivers processors exporters", "receivers exporters");

/// As Grafana's manual has them in "Provision Grafana", of version 11.4.
const DATA_SOURCES: [Map; 2] = [
    ("", "apiVersion prune datasources deleteDatasources", "apiVersion datasources"),
    (
        "datasources",
        "orgId orgName version name type access url user database basicAuth basicAuthUser withCredentials isDefault \
         correlations jsonData secureJsonData editable uid",
        "name type access url",
    ),
];
const DASHBOARDS: [Map; 3] = [
    ("", "apiVersion providers", "apiVersion providers"),
    (
        "providers",
        "name orgId orgName type folder folderUid disableDeletion editable updateIntervalSeconds allowUiUpdates options",
        "name type options",
    ),
    ("providers.options", "path foldersFromFilesStructure", "path"),
];

fn is_at(map: &Map, place: &str) -> bool {
    map.0.strip_suffix('*').map_or(map.0 == place, |before| place.starts_with(before))
}

/// What is wrong with the maps of a file: one of which nothing is known, a key that is not known, one that is missing.
fn faults(file: &Value, maps: &[Map], place: &str) -> Vec<String> {
    let Some(object) = file.as_object() else {
        return file.as_array().into_iter().flatten().flat_map(|each| faults(each, maps, place)).collect();
    };
    let Some((_, known, required)) = maps.iter().find(|map| is_at(map, place)) else {
        return vec![format!("`{place}` is not known")];
    };
    let kind = |key: &str| key.split('/').next().unwrap_or(key).to_owned();
    let missing = required.split_whitespace().filter(|key| !object.keys().any(|found| kind(found) == **key));
    let mut found: Vec<_> = missing.map(|key| format!("`{place}` lacks `{key}`")).collect();
    for (key, value) in object {
        if known.split_whitespace().any(|known| known == kind(key)) {
            let below = format!("{place}.{}", kind(key));
            found.extend(faults(value, maps, below.trim_start_matches('.')));
        } else {
            found.push(format!("`{place}` has `{key}`"));
        }
    }
    found
}

fn collector() -> Vec<Map> {
    COLLECTOR.into_iter().chain([PIPELINE]).collect()
}

#[test]
fn every_key_is_one_that_its_reader_knows() {
    assert_eq!(faults(&yaml("collector.yml"), &collector(), ""), [""; 0]);
    let provisioning = |file: &str| yaml(&format!("grafana/provisioning/{file}"));
    assert_eq!(faults(&provisioning("datasources/prometheus.yml"), &DATA_SOURCES, ""), [""; 0]);
    assert_eq!(faults(&provisioning("dashboards/files.yml"), &DASHBOARDS, ""), [""; 0]);
}

#[test]
fn a_key_that_nobody_knows_is_found() {
    let mut file = yaml("collector.yml");
    file["exporters"]["otlp/jaeger"]["tls"]["insecur"] = true.into();
    file["exporters"]["otlphttp/prometheus"]["url"] = file["exporters"]["otlphttp/prometheus"]["endpoint"].take();
    file["exporters"]["otlphttp/prometheus"].as_object_mut().unwrap().remove("endpoint");
    file["processors"]["batch"]["metadata"] = Value::Null;
    file["processors"]["resource"]["attributes"][0]["name"] = Value::Null;
    file["receivers"]["otlp"]["protocols"]["grpc"]["tls"] = serde_json::json!({});
    file["service"]["pipelines"]["traces"]["exporter"] = Value::Null;
    file["service"]["pipelines"]["spans"] = Value::Null;
    assert_eq!(
        faults(&file, &collector(), ""),
        [
            "`exporters.otlp.tls` has `insecur`",
            "`exporters.otlphttp` lacks `endpoint`",
            "`exporters.otlphttp` has `url`",
            "`processors.batch` has `metadata`",
            "`processors.resource.attributes` has `name`",
            "`receivers.otlp.protocols.grpc.tls` is not known",
            "`service.pipelines` has `spans`",
            "`service.pipelines.traces` has `exporter`",
        ]
    );
}

/// The host and the port in an address, with or without a scheme and a path.
fn host_and_port(address: &str) -> (&str, &str) {
    let address = address.split_once("://").map_or(address, |(_, rest)| rest);
    address.split('/').next().and_then(|authority| authority.split_once(':')).unwrap()
}

/// The ports within a container that its service opens.
fn opened(service: &Value) -> Vec<&str> {
    let ports = service["ports"].as_array().into_iter().flatten();
    ports.map(|port| port.as_str().unwrap().rsplit_once(':').unwrap().1).collect()
}

#[test]
fn components_are_declared_and_used_and_memory_is_limited_first() {
    let collector = yaml("collector.yml");
    let pipelines = collector["service"]["pipelines"].as_object().unwrap();
    for part in ["receivers", "processors", "exporters"] {
        let lists = pipelines.values().map(|pipeline| pipeline[part].as_array().unwrap());
        let used: Vec<_> = lists.flatten().map(|used| used.as_str().unwrap()).collect();
        let declared = collector[part].as_object().unwrap();
        assert!(used.iter().all(|used| declared.contains_key(*used)), "{part}: {used:?}");
        assert!(declared.keys().all(|declared| used.contains(&&**declared)), "{part}: {used:?}");
    }
    // Before it nothing may hold what is refused: the processor's manual.
    assert!(pipelines.values().all(|pipeline| pipeline["processors"][0] == "memory_limiter"));
}

#[test]
fn services_find_each_other() {
    let (compose, collector) = (yaml("compose.yml"), yaml("collector.yml"));
    let services = compose["services"].as_object().unwrap();
    for receiver in collector["receivers"]["otlp"]["protocols"].as_object().unwrap().values() {
        let (host, port) = host_and_port(receiver["endpoint"].as_str().unwrap());
        // Within its container it has to take what comes from outside.
        assert!(host == "0.0.0.0" && opened(&services["collector"]).contains(&port), "{receiver}");
    }
    let exporters = collector["exporters"].as_object().unwrap().values();
    let sent_to: Vec<_> = exporters.filter_map(|exporter| exporter["endpoint"].as_str()).collect();
    let source = &yaml("grafana/provisioning/datasources/prometheus.yml")["datasources"][0];
    for address in sent_to.iter().copied().chain(source["url"].as_str()) {
        assert!(services.contains_key(host_and_port(address).0), "{address}");
    }
    for address in sent_to.iter().chain(&source["url"].as_str()).filter(|address| address.contains("prometheus")) {
        assert!(opened(&services["prometheus"]).contains(&host_and_port(address).1), "{address}");
    }
    assert_eq!((&source["type"], &source["access"]), (&"prometheus".into(), &"proxy".into()));

    let folder = &yaml("grafana/provisioning/dashboards/files.yml")["providers"][0]["options"]["path"];
    let mounted = services["grafana"]["volumes"].as_array().unwrap().iter().filter_map(Value::as_str);
    let within = format!(":{}/", folder.as_str().unwrap());
    assert!(
        mounted.into_iter().any(|mounted| mounted.starts_with("./grafana/dashboard.json") && mounted.contains(&within))
    );
    // What a service is told to read is what it is given.
    for service in ["collector", "prometheus"] {
        let file = services[service]["command"][0].as_str().unwrap().split_once('=').unwrap().1;
        let mut volumes = services[service]["volumes"].as_array().unwrap().iter().filter_map(Value::as_str);
        assert!(volumes.any(|volume| volume.contains(&format!(":{file}:"))), "{service}: {file}");
    }
}
