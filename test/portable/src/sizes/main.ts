/** `bun run sizes`: prints the bundle sizes as a table. */
import { sizes, table } from "./sizes.ts"

process.stdout.write(table(await sizes()))
