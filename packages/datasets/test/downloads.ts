/** A process that downloads a file: URL FILE. */
import { download } from "../src/index.ts"
import { run } from "./support.ts"

const [url = "", file = ""] = process.argv.slice(2)
await run(download(url, file))
