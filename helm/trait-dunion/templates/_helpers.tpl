{{- define "trait-dunion.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "trait-dunion.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "trait-dunion.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "trait-dunion.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects pods: never changes between versions, or upgrades are refused. */}}
{{- define "trait-dunion.selector" -}}
app.kubernetes.io/name: {{ include "trait-dunion.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "trait-dunion.labels" -}}
{{ include "trait-dunion.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end -}}

{{- define "trait-dunion.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "trait-dunion.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "trait-dunion.image" -}}
{{- $repository := .Values.image.repository -}}
{{- if .Values.image.registry -}}
{{- $repository = printf "%s/%s" .Values.image.registry .Values.image.repository -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The settings that are no secret, one per line; values are quoted. */}}
{{- define "trait-dunion.settings" -}}
TDU_ISSUER: {{ .Values.config.issuer | quote }}
TDU_OPERATOR_SIRET: {{ .Values.config.operatorSiret | quote }}
{{- with .Values.config.ledgerOrigin }}
TDU_LEDGER_ORIGIN: {{ . | quote }}
{{- end }}
TDU_BUS_PREFIX: {{ .Values.config.busPrefix | quote }}
TDU_LOG_LEVEL: {{ .Values.config.logLevel | quote }}
TDU_OTEL_EXPORTER: {{ .Values.config.otel.exporter | quote }}
{{- with .Values.config.otel.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
{{- end }}
TDU_HOST: "0.0.0.0"
TDU_PORT: "8080"
TDU_KEYS_DIR: /etc/trait-dunion/keys
TDU_KEK_FILE: /etc/trait-dunion/kek/kek
TDU_LEDGER_MARKS: /var/lib/trait-dunion/marks
{{- range $name, $value := .Values.config.extraEnv }}
{{- /* Helm reads every number as a float: a large one would come out as 8e+07. */}}
{{ $name }}: {{ ternary ($value | int64) $value (kindIs "float64" $value) | toString | quote }}
{{- end }}
{{- end -}}

{{/* The two addresses that hold a password: by secret name, never by value. */}}
{{- define "trait-dunion.secretEnv" -}}
- name: TDU_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.existingSecret }}
      key: {{ .Values.database.key }}
- name: TDU_BUS_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.bus.existingSecret }}
      key: {{ .Values.bus.key }}
{{- end -}}

{{- define "trait-dunion.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "trait-dunion.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What every pod of the chart has in common, from its service account to where it may run. */}}
{{- define "trait-dunion.podCommon" -}}
automountServiceAccountToken: false
# Without this a service called "tdu" would put TDU_PORT=tcp://… in the environment.
enableServiceLinks: false
securityContext:
  {{- include "trait-dunion.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
