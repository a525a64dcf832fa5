// A client of Indelible made from its .proto files alone. It prints one JSON document a line.
//
// node client.mjs ADDRESS TOKEN_FILE COMMAND …
//   list-catalogs
//   list-items CATALOG
//   edit-tags CATALOG GLOB EDITS_JSON
//   remove-items CATALOG GLOB
//   watch-items CATALOG [RESUME_TOKEN]    until it is killed; it outlives restarts of the server
//
// A refused call ends it with 1 and one JSON line on standard error.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const PROTOS = fileURLToPath(new URL("../../../protos", import.meta.url));
const DEADLINE_MS = 30_000;

const [address, tokenFile, command, ...args] = process.argv.slice(2);
const { indelible } = grpc.loadPackageDefinition(
  protoLoader.loadSync(["indelible/v1/catalog_service.proto", "indelible/v1/item_service.proto"], {
    includeDirs: [PROTOS],
    longs: String, // revisions are int64: as numbers they would lose their last digits
    enums: String,
    defaults: true,
    oneofs: true, // response.event names the one that is set
  }),
);
const credentials = grpc.credentials.createInsecure();
const catalogs = new indelible.v1.CatalogService(address, credentials);
const items = new indelible.v1.ItemService(address, credentials);

// Calls wait for a server that is not there yet: that is how the watch outlives a restart.
function metadata() {
  const made = new grpc.Metadata({ waitForReady: true });
  made.set("authorization", `Bearer ${readFileSync(tokenFile, "utf8").trim()}`);
  return made;
}

function call(service, method, request) {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + DEADLINE_MS };
    service[method](request, metadata(), options, (error, response) => (error ? reject(error) : resolve(response)));
  });
}

async function* pages(service, method, request, field) {
  let pageToken = "";
  do {
    const response = await call(service, method, { ...request, pageToken });
    yield* response[field];
    pageToken = response.nextPageToken;
  } while (pageToken);
}

function print(document) {
  process.stdout.write(`${JSON.stringify(document)}\n`);
}

function shown(item) {
  const { id, path, state, revision, tags } = item;
  return { id, path, state, revision, title: tags?.title ?? null, keywords: tags?.keywords ?? [] };
}

function shownEvent(response) {
  const { resumeToken, revision, event, itemChanged, itemRemoved } = response;
  const what = { itemChanged: () => shown(itemChanged.item), itemRemoved: () => itemRemoved, bookmark: () => null };
  return { event, revision, resumeToken, item: what[event]() };
}

// One stream: the place behind its last message when the server went away; rejects when the server refused.
function follow(catalog, resumeToken) {
  return new Promise((resolve, reject) => {
    let place = resumeToken;
    const stream = items.watchItems({ catalog, resumeToken }, metadata());
    stream.on("data", (response) => {
      print(shownEvent(response));
      place = response.resumeToken;
    });
    stream.on("error", (error) => (error.code === grpc.status.UNAVAILABLE ? resolve(place) : reject(error)));
    stream.on("end", () => {}); // "error" follows: the server never ends this stream by itself
  });
}

const commands = {
  async "list-catalogs"() {
    for await (const { id, name, autoSync } of pages(catalogs, "listCatalogs", {}, "catalogs")) {
      print({ id, name, autoSync });
    }
  },

  // Pages of two, so that there is more than one.
  async "list-items"(catalog) {
    for await (const item of pages(items, "listItems", { catalog, pageSize: 2 }, "items")) {
      print(shown(item));
    }
  },

  async "edit-tags"(catalog, glob, edits) {
    const selection = { pathGlobs: { globs: [glob] } };
    const request = { catalog, selection, edits: JSON.parse(edits), requestId: randomUUID() };
    print(await call(items, "editTags", request));
  },

  async "remove-items"(catalog, glob) {
    const selection = { pathGlobs: { globs: [glob] } };
    print(await call(items, "removeItems", { catalog, selection, requestId: randomUUID() }));
  },

  async "watch-items"(catalog, resumeToken = "") {
    for (let place = resumeToken; ; ) {
      place = await follow(catalog, place);
      print({ event: "interrupted" });
    }
  },
};

try {
  await commands[command](...args);
  process.exit(0);
} catch (error) {
  process.stderr.write(`${JSON.stringify({ status: grpc.status[error.code] ?? null, message: error.message })}\n`);
  process.exit(1);
}
