{{- define "firewatch.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end -}}

{{- /* Short enough that "-receiver" and the like still fit into 63 characters. */ -}}
{{- define "firewatch.fullname" -}}
{{- $name := include "firewatch.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "firewatch.selectorLabels" -}}
app.kubernetes.io/name: {{ include "firewatch.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- /* Our own labels win over the user's, so that no value can break a selector. */ -}}
{{- define "firewatch.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_")
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/part-of" "firewatch"
  "app.kubernetes.io/managed-by" .Release.Service
-}}
{{- $own = merge (include "firewatch.selectorLabels" . | fromYaml) $own -}}
{{- merge $own .Values.commonLabels | toYaml -}}
{{- end -}}

{{- define "firewatch.podLabels" -}}
{{- merge (include "firewatch.labels" . | fromYaml) .Values.podLabels | toYaml -}}
{{- end -}}

{{- /* What gives everything back before an uninstall. */ -}}
{{- define "firewatch.releaseName" -}}
{{- include "firewatch.fullname" . }}-release
{{- end -}}

{{- define "firewatch.releaseLabels" -}}
{{- include "firewatch.labels" . | replace "component: operator" "component: release" -}}
{{- end -}}

{{- define "firewatch.releaseHook" -}}
helm.sh/hook: pre-delete
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- /* The user's affinity; without one between pods, replicas prefer different nodes. */ -}}
{{- define "firewatch.affinity" -}}
{{- $affinity := deepCopy (.Values.affinity | default dict) -}}
{{- if and (gt (int .Values.replicas) 1) (not (hasKey $affinity "podAntiAffinity")) -}}
{{- $term := dict
  "topologyKey" "kubernetes.io/hostname"
  "labelSelector" (dict "matchLabels" (include "firewatch.selectorLabels" . | fromYaml))
-}}
{{- $preferred := list (dict "weight" 100 "podAffinityTerm" $term) -}}
{{- $_ := set $affinity "podAntiAffinity"
  (dict "preferredDuringSchedulingIgnoredDuringExecution" $preferred)
-}}
{{- end -}}
{{- with $affinity }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{- define "firewatch.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}{{ with $image.tag }}:{{ . }}{{ end }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- /* What the operator's container and the test's container are allowed: nothing. */ -}}
{{- define "firewatch.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "firewatch.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
