/** `bun run sizes`. */
import { sizes, table } from "./sizes.ts"

process.stdout.write(table(await sizes()))
