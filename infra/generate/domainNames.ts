/** Every spelling of a domain that the layers need, worked out once from its name. */
export interface DomainNames {
  /** `taxRates`: the name of files, events, jobs and procedures. */
  readonly domain: string;
  /** `TaxRates`. */
  readonly Domain: string;
  /** `taxRate`: one record. */
  readonly record: string;
  /** `TaxRate`. */
  readonly Record: string;
  /** `tax rate`, in sentences and in error messages. */
  readonly words: string;
  /** `tax_rates`: the table. */
  readonly table: string;
  /** `txr`: what ids begin with. */
  readonly prefix: string;
}

const capitalise = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * @param domain a plural noun in camelCase, as clients will call it
 * @param options `record`, one of them, where taking the plural off is not enough; `prefix`, 2 to 4 letters for its ids
 * @throws Error that says what is wrong with a name
 */
export function domainNames(domain: string, options: { record?: string; prefix?: string } = {}): DomainNames {
  if (!/^[a-z][a-zA-Z]{2,40}$/.test(domain)) throw new Error(`"${domain}" is no name: use a plural noun in camelCase`);
  const record = options.record ?? singularOf(domain);
  if (record === domain) throw new Error(`"${domain}" is not a plural: say what one of them is called with --record`);
  const prefix = options.prefix ?? consonantsOf(record);
  if (!/^[a-z]{2,4}$/.test(prefix))
    throw new Error(`"${prefix}" is no prefix for ids: give 2 to 4 letters with --prefix`);
  return {
    domain,
    Domain: capitalise(domain),
    record,
    Record: capitalise(record),
    words: record.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
    table: domain.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    prefix,
  };
}

function singularOf(plural: string): string {
  if (plural.endsWith("ies")) return `${plural.slice(0, -3)}y`;
  if (/(?:s|x|z|ch|sh)es$/.test(plural)) return plural.slice(0, -2);
  return plural.replace(/s$/, "");
}

/** The first letter and the two consonants after it: `coupon` → `cpn`. */
const consonantsOf = (word: string): string =>
  word.charAt(0) +
  word
    .slice(1)
    .toLowerCase()
    .replace(/[aeiou]/g, "")
    .slice(0, 2);
