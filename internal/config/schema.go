package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Schema is the JSON Schema (draft 2020-12) of spillway.yaml, for editors. It
// knows kinds and words; what must fit together only Check tells.
func Schema() []byte {
	s := sectionSchema(table())
	s.set("$schema", "https://json-schema.org/draft/2020-12/schema")
	s.set("title", "spillway.yaml")
	s.set("required", []string{"servers"})
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	// Nothing in it fails to encode: a test decodes it.
	_ = e.Encode(s)
	return out.Bytes()
}

// object is a JSON object that keeps its order.
type object struct {
	names  []string
	values map[string]any
}

func newObject() *object { return &object{values: map[string]any{}} }

func (o *object) set(name string, value any) *object {
	if _, ok := o.values[name]; !ok {
		o.names = append(o.names, name)
	}
	o.values[name] = value
	return o
}

// MarshalJSON writes the members in the order they were set.
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range o.names {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, v := range []any{name, o.values[name]} {
			if j > 0 {
				b.WriteByte(':')
			}
			var member bytes.Buffer
			e := json.NewEncoder(&member)
			e.SetEscapeHTML(false)
			if err := e.Encode(v); err != nil {
				return nil, err
			}
			b.Write(bytes.TrimRight(member.Bytes(), "\n"))
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func sectionSchema(keys []key) *object {
	properties, required := newObject(), []string{}
	for i := range keys {
		properties.set(keys[i].name, keySchema(&keys[i]))
		if keys[i].needed {
			required = append(required, keys[i].name)
		}
	}
	s := newObject().set("type", []string{"object", "null"}).set("additionalProperties", false).set("properties", properties)
	if len(required) > 0 {
		s.set("type", "object").set("required", required)
	}
	return s
}

func keySchema(k *key) *object {
	var s *object
	switch k.kind {
	case kindSection:
		s = sectionSchema(k.keys)
	case kindNamed:
		s = newObject().set("type", []string{"object", "null"}).
			set("propertyNames", newObject().set("minLength", 1).set("maxLength", 256)).
			set("additionalProperties", sectionSchema(k.keys))
	default:
		s = valueSchema(k)
	}
	return s.set("description", describe(k))
}

// describe is the key's meaning with what holds when it is left out.
func describe(k *key) string {
	text := k.doc
	switch {
	case k.needed:
		text += " Required."
	case k.inherits != "":
		text += " Default: " + k.inherits + "."
	case k.def != "" && k.def != "[]":
		text += " Default: " + k.def + "."
	}
	if k.peer != "" {
		text += " PgBouncer: " + k.peer + "."
	}
	return text
}

// Patterns of values that are texts.
const (
	durationPattern = `^(0|([0-9]+(\.[0-9]+)?(d|h|m|s|ms|us|µs|ns))+)$`
	sizePattern     = `^(0|[0-9]+ ?(B|KiB|MiB|GiB))$`
	percentPattern  = `^(100|[0-9]{1,2})%$`
)

func valueSchema(k *key) *object {
	switch k.kind {
	case kindFlag:
		return newObject().set("type", "boolean")
	case kindCount:
		number := newObject().set("type", "integer").set("minimum", k.atLeast).set("maximum", largestCount)
		if k.auto {
			return anyOf(number, newObject().set("const", "auto"))
		}
		return number
	case kindRate:
		return newObject().set("type", "number").set("minimum", 0)
	case kindDuration:
		return anyOf(pattern(durationPattern), newObject().set("const", 0))
	case kindSize:
		return anyOf(pattern(sizePattern), newObject().set("const", 0))
	case kindPercent:
		return pattern(percentPattern)
	case kindList:
		return anyOf(newObject().set("type", "array").set("items", wordSchema(k)), wordSchema(k))
	default:
		return wordSchema(k)
	}
}

func wordSchema(k *key) *object {
	s := newObject().set("type", "string")
	if len(k.oneOf) > 0 {
		s.set("enum", k.oneOf)
	}
	return s
}

func anyOf(schemas ...*object) *object { return newObject().set("anyOf", schemas) }

func pattern(expression string) *object {
	return newObject().set("type", "string").set("pattern", expression)
}

// kindWord is a kind as the reference names it.
func kindWord(k *key) string {
	switch k.kind {
	case kindFlag:
		return "true, false"
	case kindCount:
		if k.auto {
			return "auto, number"
		}
		return "number"
	case kindRate:
		if k.unit != "" {
			return k.unit
		}
		return "number a second"
	case kindDuration:
		return "duration"
	case kindSize:
		return "size"
	case kindPercent:
		return "percentage"
	case kindList:
		if len(k.oneOf) > 0 {
			return "list of " + strings.Join(k.oneOf, ", ")
		}
		return "list"
	case kindSection, kindNamed:
		return "keys"
	default:
		if len(k.oneOf) > 0 {
			return strings.Join(k.oneOf, ", ")
		}
		if k.path {
			return "file"
		}
		return "text"
	}
}

// defaultWord is what holds when a key is left out, as the reference names it.
func defaultWord(k *key) string {
	switch {
	case k.needed:
		return "required"
	case k.inherits != "":
		return k.inherits
	case k.def == "" || k.def == "[]":
		return "none"
	default:
		return fmt.Sprintf("`%s`", k.def)
	}
}
