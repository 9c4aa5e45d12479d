/** A decoded form: text, lists and objects, as nested as the names are. */
export type FormValue = string | FormValue[] | { [name: string]: FormValue };
export type Form = { [name: string]: FormValue };

const NAME = /^([^[\]]+)((?:\[[^[\]]*\])*)$/;

/**
 * Decodes `a[b][0][c]=x&d[]=y`, Stripe's way of writing objects and lists in a form or a query: `{a: {b: [{c: "x"}]}, d:
 * ["y"]}`. Names that could reach a prototype are ordinary names here, because no object has one.
 */
export function decodeForm(text: string): Form {
  const root = emptyForm();
  for (const [name, value] of new URLSearchParams(text)) {
    const match = NAME.exec(name);
    if (match?.[1] === undefined) continue;
    const path = [match[1], ...[...(match[2] ?? "").matchAll(/\[([^[\]]*)\]/g)].map((part) => part[1] ?? "")];
    put(root, path, value);
  }
  return listsOf(root) as Form;
}

const emptyForm = (): Form => Object.create(null) as Form;

function put(into: Form, path: readonly string[], value: string): void {
  let current = into;
  for (const [index, part] of path.entries()) {
    const name = part === "" ? String(Object.keys(current).length) : part;
    if (index === path.length - 1) {
      current[name] = value;
      return;
    }
    const next = current[name];
    if (typeof next === "object" && !Array.isArray(next)) {
      current = next;
    } else {
      const made = emptyForm();
      current[name] = made;
      current = made;
    }
  }
}

/** Objects whose names are 0, 1, 2… are lists. */
function listsOf(value: FormValue): FormValue {
  if (typeof value === "string" || Array.isArray(value)) return value;
  const names = Object.keys(value);
  const isList = names.length > 0 && names.every((name, index) => name === String(index));
  if (isList) return names.map((name) => listsOf(value[name] ?? ""));
  const object = emptyForm();
  for (const name of names) object[name] = listsOf(value[name] ?? "");
  return object;
}
