// Asks for one verification, receives the webhook about it, checks it, and says the verdict in words.
//
//     node verify.mjs [MEMBER_ID]
//
// Variables: VERIFY_BROKER_URL, VERIFY_QUEUE_PREFIX, WEBHOOK_SECRET (whsec_…), PORT (8080).

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createClient } from "redis";
import { Webhook } from "standardwebhooks";

const { VERIFY_BROKER_URL: broker, VERIFY_QUEUE_PREFIX: prefix = "", WEBHOOK_SECRET: secret, PORT = "8080" } = process.env;
if (!broker || !secret) throw new Error("VERIFY_BROKER_URL and WEBHOOK_SECRET must be set");
const memberId = process.argv[2] ?? "sandbox-approved";

/** One message on the list of the workers: see MESSAGE.md. */
async function requestVerification(job) {
  const envelope = {
    headers: { lang: "js", task: "worker.verify_member", id: randomUUID() },
    properties: { delivery_mode: 2 },
    "content-type": "application/json",
    "content-encoding": "utf-8",
    body: JSON.stringify([[], { job }, null]),
  };
  const client = createClient({ url: broker });
  client.on("error", (error) => console.error(`Redis: ${error.message}`));
  await client.connect();
  await client.lPush(`${prefix}verify`, JSON.stringify(envelope)); // throws where Redis is full: send it again later
  await client.close();
}

/** What came of a request: see EVENT.md. */
function inWords({ member_id, status, reason, problem, photos }) {
  const badge = photos.filter((photo) => photo.verified).map((photo) => photo.position);
  const verdicts = {
    approved: `is approved; photos that may carry the badge: [${badge.join(", ")}]`,
    review: "waits for a person to look",
    retry_photo: `is asked for a better photo (${reason})`,
    rejected: "is rejected",
    error: `could not be judged (${problem ?? reason}), through no fault of theirs`,
  };
  return `${member_id} ${verdicts[status] ?? `was refused: ${problem}`}`;
}

const requestId = randomUUID();

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let event;
  try {
    event = new Webhook(secret).verify(Buffer.concat(chunks).toString(), request.headers); // the body as it came
  } catch (error) {
    console.log(`refused: ${error.message}`);
    response.writeHead(400).end();
    return;
  }
  response.writeHead(204).end(); // yours answers when the event is stored, and knows one that comes again by its ID
  if (event.data.request_id !== requestId) return; // of an earlier request
  console.log(`verified webhook ${request.headers["webhook-id"]}: ${event.type}`);
  console.log(inWords(event.data));
  console.log(event.data.text?.en ?? "");
  clearTimeout(patience);
  server.close();
  server.closeIdleConnections();
});

const patience = setTimeout(() => {
  console.error("no webhook came");
  process.exit(1);
}, 60_000);

server.listen(Number(PORT), "127.0.0.1", async () => {
  await requestVerification({
    schema: 1,
    request_id: requestId,
    requested_at: new Date().toISOString(),
    member_id: memberId,
    why: "signup",
    selfie_url: "https://photos.example.com/selfie.jpg",
    photo_urls: ["https://photos.example.com/1.jpg", "https://photos.example.com/2.jpg"],
    declared_gender: "female",
  });
  console.log(`sent ${requestId}`);
});
