// Asks for one verification, receives the webhook about it, checks it, and says the verdict in words.
//
//     java Verify.java [MEMBER_ID]
//
// Java 17 or later, no library: a program of yours has one for Redis, JSON and Standard Webhooks.
// Variables: VERIFY_BROKER_URL, VERIFY_QUEUE_PREFIX, WEBHOOK_SECRET (whsec_…), PORT (8080).

import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Verify {
    private static final BlockingQueue<Map<?, ?>> RECEIVED = new ArrayBlockingQueue<>(100);

    public static void main(String[] arguments) throws Exception {
        String memberId = arguments.length > 0 ? arguments[0] : "sandbox-approved";
        String requestId = UUID.randomUUID().toString();
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/", Verify::receive);
        server.start();

        requestVerification(requestId, memberId);
        System.out.println("sent " + requestId);
        Map<?, ?> data;
        do { // an event of an earlier request may come first
            Map<?, ?> event = RECEIVED.poll(60, TimeUnit.SECONDS);
            if (event == null) throw new IllegalStateException("no webhook came");
            data = (Map<?, ?>) event.get("data");
        } while (!requestId.equals(data.get("request_id")));
        System.out.println(inWords(data));
        System.out.println(data.get("text") instanceof Map<?, ?> text ? text.get("en") : "");
        server.stop(0);
    }

    /** One message on the list of the workers: see MESSAGE.md. */
    private static void requestVerification(String requestId, String memberId) throws IOException {
        String body = """
            [[], {"job": {"schema": 1, "request_id": "%s", "requested_at": "%s", "member_id": "%s", "why": "signup",
            "selfie_url": "https://photos.example.com/selfie.jpg",
            "photo_urls": ["https://photos.example.com/1.jpg", "https://photos.example.com/2.jpg"],
            "declared_gender": "female"}}, null]""".formatted(requestId, Instant.now(), memberId);
        String envelope = """
            {"headers": {"lang": "java", "task": "worker.verify_member", "id": "%s"},
            "properties": {"delivery_mode": 2}, "content-type": "application/json", "content-encoding": "utf-8",
            "body": "%s"}""".formatted(UUID.randomUUID(), body.replace("\"", "\\\"").replace("\n", " "));
        URI broker = URI.create(System.getenv("VERIFY_BROKER_URL"));
        String prefix = System.getenv().getOrDefault("VERIFY_QUEUE_PREFIX", "");
        try (Socket redis = new Socket(broker.getHost(), broker.getPort())) {
            String password = broker.getUserInfo() == null ? "" : broker.getUserInfo().replaceFirst("^[^:]*:", "");
            if (!password.isEmpty()) command(redis, "AUTH", password);
            if (broker.getPath().length() > 1) command(redis, "SELECT", broker.getPath().substring(1));
            command(redis, "LPUSH", prefix + "verify", envelope);
        }
    }

    /** A command of Redis, in its protocol RESP. */
    private static void command(Socket redis, String... words) throws IOException {
        StringBuilder text = new StringBuilder("*" + words.length + "\r\n");
        for (String word : words) text.append("$").append(word.getBytes(UTF_8).length).append("\r\n").append(word).append("\r\n");
        redis.getOutputStream().write(text.toString().getBytes(UTF_8));
        StringBuilder reply = new StringBuilder();
        while (reply.indexOf("\r\n") < 0) reply.append((char) redis.getInputStream().read());
        if (reply.charAt(0) == '-') throw new IOException("Redis: " + reply.toString().strip()); // full: send it again later
    }

    /** A webhook: 204 if it is genuine, 400 if not. */
    private static void receive(HttpExchange exchange) throws IOException {
        String body = new String(exchange.getRequestBody().readAllBytes(), UTF_8);
        boolean genuine = isGenuine(exchange, body);
        exchange.sendResponseHeaders(genuine ? 204 : 400, -1); // yours answers when the event is stored
        exchange.close();
        if (!genuine) {
            System.out.println("refused");
            return;
        }
        Map<?, ?> event = (Map<?, ?>) new Json(body).value();
        System.out.println("verified webhook " + exchange.getRequestHeaders().getFirst("webhook-id") + ": " + event.get("type"));
        RECEIVED.add(event);
    }

    /** By the Standard Webhooks scheme: HMAC-SHA256 over id.timestamp.body; one signature that fits is enough. */
    private static boolean isGenuine(HttpExchange exchange, String body) {
        String id = exchange.getRequestHeaders().getFirst("webhook-id");
        String timestamp = exchange.getRequestHeaders().getFirst("webhook-timestamp");
        String signatures = exchange.getRequestHeaders().getFirst("webhook-signature");
        if (id == null || timestamp == null || signatures == null) return false;
        try {
            Duration age = Duration.between(Instant.ofEpochSecond(Long.parseLong(timestamp)), Instant.now());
            if (age.abs().compareTo(Duration.ofMinutes(5)) > 0) return false;
            byte[] key = Base64.getDecoder().decode(System.getenv("WEBHOOK_SECRET").substring("whsec_".length()));
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(key, "HmacSHA256"));
            byte[] expected = mac.doFinal((id + "." + timestamp + "." + body).getBytes(UTF_8));
            return Arrays.stream(signatures.split(" ")).filter(one -> one.startsWith("v1,"))
                .anyMatch(one -> MessageDigest.isEqual(expected, Base64.getDecoder().decode(one.substring(3))));
        } catch (GeneralSecurityException | IllegalArgumentException error) {
            return false;
        }
    }

    /** What came of a request: see EVENT.md. */
    private static String inWords(Map<?, ?> data) {
        List<Object> badge = new ArrayList<>();
        for (Object photo : (List<?>) data.get("photos")) {
            if (Boolean.TRUE.equals(((Map<?, ?>) photo).get("verified"))) badge.add(((Map<?, ?>) photo).get("position"));
        }
        String status = data.get("status") == null ? "" : (String) data.get("status");
        return data.get("member_id") + " " + switch (status) {
            case "approved" -> "is approved; photos that may carry the badge: " + badge;
            case "review" -> "waits for a person to look";
            case "retry_photo" -> "is asked for a better photo (" + data.get("reason") + ")";
            case "rejected" -> "is rejected";
            case "error" -> "could not be judged (" + (data.get("problem") == null ? data.get("reason") : data.get("problem"))
                + "), through no fault of theirs";
            default -> "was refused: " + data.get("problem");
        };
    }

    /** Reads JSON; stands for the library that you have. */
    private static final class Json {
        private final String text;
        private int at = 0;

        Json(String text) {
            this.text = text;
        }

        Object value() {
            char first = next();
            if (first == '{') return object();
            if (first == '[') return list();
            if (first == '"') return string();
            int start = at - 1;
            while (at < text.length() && ",]} \n\r\t".indexOf(text.charAt(at)) < 0) at++;
            String word = text.substring(start, at);
            return switch (word) {
                case "null" -> null;
                case "true", "false" -> Boolean.valueOf(word);
                default -> word.matches("-?\\d+") ? (Object) Integer.valueOf(word) : Double.valueOf(word);
            };
        }

        private Map<String, Object> object() {
            Map<String, Object> fields = new LinkedHashMap<>();
            for (char c = next(); c != '}'; c = next()) {
                if (c == ',') continue;
                String name = string();
                next(); // the colon
                fields.put(name, value());
            }
            return fields;
        }

        private List<Object> list() {
            List<Object> items = new ArrayList<>();
            for (char c = next(); c != ']'; c = next()) {
                if (c != ',') at--;
                items.add(value());
            }
            return items;
        }

        private String string() {
            StringBuilder found = new StringBuilder();
            for (char c = text.charAt(at++); c != '"'; c = text.charAt(at++)) {
                if (c == '\\') {
                    c = text.charAt(at++);
                    if (c == 'u') c = (char) Integer.parseInt(text.substring(at, at += 4), 16);
                    else if ("nrtbf".indexOf(c) >= 0) c = "\n\r\t\b\f".charAt("nrtbf".indexOf(c));
                }
                found.append(c);
            }
            return found.toString();
        }

        private char next() {
            while (Character.isWhitespace(text.charAt(at))) at++;
            return text.charAt(at++);
        }
    }
}
