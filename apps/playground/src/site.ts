/** The playground's files, bundled for browsers. */
import { fileURLToPath } from "node:url"
import { type BundleOptions, bundle } from "@spikeroute/web-tools"

const path = (name: string): string => fileURLToPath(new URL(`../page/${name}`, import.meta.url))

/** All files by name; any server can serve them as a static page. */
export const makeSite = async (options: BundleOptions = {}): Promise<ReadonlyMap<string, Blob>> =>
  new Map([
    ...(await bundle(path("main.ts"), options)),
    ...["index.html", "style.css"].map((name) => [name, Bun.file(path(name))] as const),
  ])
